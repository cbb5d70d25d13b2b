import { quoteName } from '@instar/host-files';
import { requireVirtualSize } from './size-limits.js';
import { roundUpToSector } from '@instar/operands';
import {
  CHAIN_MAX_DEVICES,
  DEVICE_FLAG,
  DEVICE_ROLE,
  IMAGE_FORMAT,
  INFO_FLAG,
  InfoResult,
  NO_PARENT,
} from '@instar/shared-abi';
import { doubtsOf } from './doubts.js';
import { EngineError } from './errors.js';
import { formatName, formatNumber } from './format-names.js';
import { checkFlatExtent, extentsInFiles } from './extent-files.js';
import { isPacked, isReadable, listed, READABLE_FORMATS } from './formats.js';
import { adoptInput, closeInput, type InputFile } from './input-file.js';
import { NO_REFERENCES, openReference, type PathPolicy, type Reference } from './path-policy.js';
import { checkDataFile, checkRawBacking, type ReferencedFile } from './referenced-file.js';
import { MAX_CHAIN_DEPTH, type GuestDevice } from './session/context.js';
import { look, type ImageInfo } from './session/look.js';
import { snapshotChoice, type SnapshotSelector } from './snapshot.js';
import type { GuestSession } from './session/session.js';

/** One image of a chain. */
export interface Layer {
  readonly file: InputFile;
  readonly info: ImageInfo;
  /** Index of the layer's file among the devices of its session. */
  readonly device: number;
  /** Somebody said what format it has: the caller, or the image above it. */
  readonly declared: boolean;
  readonly dataFile: InputFile | undefined;
  /** Files that hold parts of its disk, in the order of the disk. */
  readonly extentFiles: readonly InputFile[];
}

/** An image with everything that it reads from, all files open. */
export interface Chain {
  /** The named image first. */
  readonly layers: readonly [Layer, ...Layer[]];
  /** The guest that knows its files. */
  readonly session: GuestSession;
  readonly files: readonly InputFile[];
  /** Warnings for whoever uses the content. */
  readonly doubts: readonly string[];
  /** Ends the guest and closes all files. */
  close(): Promise<void>;
}

const decoder = new TextDecoder('utf-8', { fatal: true });

/** A name that an image holds, as text. @throws EngineError `PATH_REFUSED` */
export function storedName(bytes: Uint8Array, length: number, role: string, image: string): string {
  try {
    const name = decoder.decode(bytes.subarray(0, length));
    if (name.includes('\0')) throw new TypeError('NUL');
    return name;
  } catch {
    throw new EngineError('PATH_REFUSED', `the name of its ${role} is not UTF-8 text`, { file: image });
  }
}

/** How a chain may be opened. */
export interface ChainPolicy {
  /** Which files an image may draw in. */
  readonly references: PathPolicy;
  /** Read images that another process has locked. */
  readonly forceShare: boolean;
  /** Refuse images that are not whole. */
  readonly strict: boolean;
  /** Leave the image's backing file and data file alone: of its references only its extent files are opened. */
  readonly alone?: boolean;
  /** Internal snapshot that is read in the place of the image. */
  readonly snapshot?: SnapshotSelector | undefined;
}

/** A file that is only read, for a session. */
export function inputDevice(file: InputFile, role: number, format: number, parent: number): GuestDevice {
  return {
    path: file.path,
    entry: {
      role,
      format,
      parent,
      flags: file.allocated < file.size ? DEVICE_FLAG.values.HOLES : 0,
      file_size: file.size,
      virtual_size: 0n,
      start: 0n,
    },
    options: {
      fd: file.fd,
      access: 'input',
      size: file.size,
      ...(file.remote === undefined ? {} : { remote: file.remote.number }),
    },
    ...(file.remote === undefined ? {} : { failure: file.remote.failure }),
  };
}

function extentDevice(file: InputFile, parent: number): GuestDevice {
  return inputDevice(file, DEVICE_ROLE.values.EXTENT, IMAGE_FORMAT.values.PROBE, parent);
}

/** A file that was declared raw has no structure, so there is nothing to ask the guest. */
function rawInfo(file: InputFile): ImageInfo {
  return { ...InfoResult.zero(), format: IMAGE_FORMAT.values.RAW, virtual_size: roundUpToSector(file.size) };
}

/**
 * Opens an image and everything below it, in one session: asks the guest what each file is and what it refers to, and opens the
 * references that the policy allows. Closes everything again when it fails.
 * @param format number of the format that the user forced, or PROBE
 * @param role what the image is to the operation: `IMAGE`, or `COMPARED`
 * @throws EngineError `CHAIN_LOOP`, `CHAIN_TOO_DEEP`, `PATH_REFUSED`, `IMAGE_…`
 */
export async function openChain(
  top: InputFile,
  format: number,
  { references: allowed, forceShare, strict, alone = false, snapshot }: ChainPolicy,
  session: GuestSession,
  role: number = DEVICE_ROLE.values.IMAGE,
): Promise<Chain> {
  const { limits } = session.context;
  // What is on another machine has no directory in which it could name files, and names in images are no URLs.
  const references = top.remote === undefined ? allowed : NO_REFERENCES;
  const files: InputFile[] = [top];
  const doubts: string[] = [];
  const close = async (): Promise<void> => {
    // First: the numbers of files that are closed may soon be those of others.
    await session.close();
    await Promise.all(files.map(closeInput));
  };

  const addReference = async (reference: Reference): Promise<ReferencedFile> => {
    const { fd, path, scope } = await openReference(reference, references);
    const file = await adoptInput(fd, path, forceShare);
    files.push(file);
    return { reference, file, beside: scope === 'beside' };
  };

  const addExtents = async (file: InputFile, info: ImageInfo): Promise<readonly InputFile[]> => {
    const opened = new Map<string, InputFile>();
    const extents: InputFile[] = [];
    for (const record of extentsInFiles(info)) {
      const name = storedName(record.name, record.name_len, 'extent file', file.path);
      let extent = opened.get(name);
      if (extent === undefined) {
        const added = await addReference({ role: 'extent file', name, image: file.path });
        refuseLoop(files, added.file);
        checkFlatExtent(added, record);
        extent = added.file;
        opened.set(name, extent);
      }
      extents.push(extent);
    }
    return extents;
  };

  const addDataFile = async (file: InputFile, info: ImageInfo, device: number): Promise<InputFile> => {
    if (info.data_file_len === 0) {
      throw new EngineError('REFERENCE_MISSING', 'needs an external data file but names none', { file: file.path });
    }
    const name = storedName(info.data_file, info.data_file_len, 'external data file', file.path);
    const added = await addReference({ role: 'external data file', name, image: file.path });
    refuseLoop(files, added.file);
    checkDataFile(added, info);
    session.add(inputDevice(added.file, DEVICE_ROLE.values.DATA_FILE, 0, device));
    return added.file;
  };

  const addLayer = async (file: InputFile, declared: number, parent: number): Promise<Layer> => {
    const own = parent === NO_PARENT ? role : DEVICE_ROLE.values.BACKING;
    const device = session.add(inputDevice(file, own, declared, parent));
    // Whoever wants a snapshot of it has to hear that there is none.
    const asked = declared !== IMAGE_FORMAT.values.RAW || (snapshot !== undefined && parent === NO_PARENT);
    let info = asked ? await look(session, device) : rawInfo(file);
    requireVirtualSize(info.virtual_size, limits, file.path);
    const extentFiles = await addExtents(file, info);
    if (extentFiles.length > 0) {
      // Only with its extents open can the image be looked at as a whole.
      extentFiles.forEach((extent) => session.add(extentDevice(extent, device)));
      info = await look(session, device);
      requireVirtualSize(info.virtual_size, limits, file.path);
    }
    session.describe(device, { format: info.format });
    if (session.devices.length >= CHAIN_MAX_DEVICES) {
      throw new EngineError('CHAIN_TOO_DEEP', `its chain has more than ${CHAIN_MAX_DEVICES - 1} files`, {
        file: top.path,
      });
    }
    const hasDataFile = !alone && (info.flags & INFO_FLAG.values.DATA_FILE) !== 0;
    const dataFile = hasDataFile ? await addDataFile(file, info, device) : undefined;
    const isDeclared = declared !== IMAGE_FORMAT.values.PROBE;
    session.context.onDetail?.({
      kind: 'image',
      path: file.path,
      format: formatName(info.format),
      declared: isDeclared,
      virtualSize: info.virtual_size,
    });
    doubts.push(...doubtsOf(file, info, isDeclared, strict));
    return { file, info, device, declared: isDeclared, dataFile, extentFiles };
  };

  try {
    if (snapshot !== undefined) session.chooseSnapshot(snapshotChoice(snapshot));
    let layer = await addLayer(top, format, NO_PARENT);
    const layers: [Layer, ...Layer[]] = [layer];
    while (!alone && (layer.info.flags & INFO_FLAG.values.BACKING_FILE) !== 0) {
      const { info, file } = layer;
      if (layers.length >= MAX_CHAIN_DEPTH) {
        throw new EngineError('CHAIN_TOO_DEEP', `its backing chain has more than ${MAX_CHAIN_DEPTH} layers`, {
          file: top.path,
        });
      }
      const name = storedName(info.backing_file, info.backing_file_len, 'backing file', file.path);
      const added = await addReference({ role: 'backing file', name, image: file.path });
      refuseLoop(files, added.file);
      layer = await addLayer(added.file, declaredFormat(info, file.path), layer.device);
      layers.push(layer);
      if (layer.info.format === IMAGE_FORMAT.values.RAW) checkRawBacking(added, info);
      refusePacked(layer, file.path);
    }
    return { layers, session, files, doubts, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** QEMU takes a packed file below an image for a raw disk; what is inside was not meant to be read there. */
function refusePacked({ file, info }: Layer, image: string): void {
  const name = formatName(info.format);
  if (!isPacked(name)) return;
  throw new EngineError(
    'UNSUPPORTED_FORMAT',
    `has the backing file ${quoteName(file.path)}, which is packed by ${name}; unpack it first`,
    { file: image },
  );
}

function refuseLoop(files: readonly InputFile[], added: InputFile): void {
  const earlier = files.find((file) => file !== added && file.identity === added.identity);
  if (earlier !== undefined) {
    throw new EngineError('CHAIN_LOOP', `refers to ${quoteName(added.path)}, which is already part of its chain`, {
      file: earlier.path,
    });
  }
}

/** What QEMU calls the way to bytes as they are, which some tools declare as the format. */
const PLAIN_BYTES = new Set(['file', 'host_device']);

/** The backing format that an image declares; it is then believed, never probed again. */
function declaredFormat(info: ImageInfo, image: string): number {
  if (info.backing_format_len === 0) return 0;
  const stored = storedName(info.backing_format, info.backing_format_len, 'backing format', image);
  const name = PLAIN_BYTES.has(stored) ? 'raw' : stored;
  const number = formatNumber(name);
  if (number === undefined || !isReadable(name)) {
    throw new EngineError(
      'UNSUPPORTED_FORMAT',
      `declares the backing format ${quoteName(name)}; ${listed(READABLE_FORMATS)} are read`,
      { file: image },
    );
  }
  return number;
}
