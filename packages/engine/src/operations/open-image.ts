import {
  CONVERT_FLAG,
  CONVERT_RESULT_MAGIC,
  ConvertConfig,
  ConvertResult,
  DEVICE_FLAG,
  IMAGE_FORMAT,
} from '@instar/shared-abi';
import { Readable } from 'node:stream';
import type { Chain } from '../chain.js';
import { EngineError } from '../errors.js';
import { formatName } from '../format-names.js';
import { describeLayer, type ImageDescription } from '../info.js';
import { guestContext, type OperationControl } from '../operation.js';
import { checkControl } from '../options/control.js';
import {
  checkFileName,
  checkOnFinding,
  checkRange,
  checkReadOptions,
  checkReadRange,
  checkStreamRange,
} from '../options/operations.js';
import type { RemoteVersion } from '../remote/source.js';
import { perform } from '../session/operation.js';
import { impossibleResult } from '../session/outcome.js';
import { GuestSession } from '../session/session.js';
import { checkImage, type CheckFinding, type CheckReport } from './check.js';
import { mapChain, rangeOf, type MappedExtent } from './map.js';
import { openForReading, type ReadOptions } from './reading.js';
import { ScratchFile } from './scratch.js';

/** Bytes of a disk that one request reads at most. */
const MOST_READ = 8 << 20;
/** Bytes that a stream reads at once. */
const STREAM_PIECE = 1 << 20;

/** A part of a disk. */
export interface DiskRange {
  /** First virtual byte (default 0). */
  readonly start?: bigint | number | undefined;
  /** Bytes (default: to the end of the disk). */
  readonly length?: bigint | number | undefined;
}

/** A part of a disk, as of `fs.createReadStream`. */
export interface StreamRange {
  /** First virtual byte (default 0). */
  readonly start?: bigint | number | undefined;
  /** Last byte, which belongs to it (default: the last one of the disk). */
  readonly end?: bigint | number | undefined;
}

/**
 * An image that is open, with everything that it reads from: one guest answers all that is asked of it. Requests that come
 * at once are answered one after the other.
 */
export class Image implements AsyncDisposable {
  /** Bytes of the disk. */
  readonly virtualSize: bigint;
  /** Its format, as `qcow2`. */
  readonly format: string;
  readonly #chain: Chain;
  readonly #scratch: ScratchFile;
  #last: Promise<unknown> = Promise.resolve();
  #closed: Promise<void> | undefined;

  /** See {@link openImage}. */
  constructor(chain: Chain, scratch: ScratchFile) {
    const [{ info }] = chain.layers;
    this.#chain = chain;
    this.#scratch = scratch;
    this.virtualSize = info.virtual_size;
    this.format = formatName(info.format);
  }

  /** Which bytes are read of an image behind a URL; undefined of a file. For `RemoteAccess.expected` of whoever reads the same. */
  get remoteVersion(): RemoteVersion | undefined {
    return this.#chain.layers[0].file.remote?.version;
  }

  /** Names of all files and URLs that are read, those of the images below it and of their data too: an output must be none of them. */
  get files(): readonly string[] {
    return this.#chain.session.devices.slice(0, -1).map(({ path }) => path);
  }

  /** What the image says of itself. */
  info(): ImageDescription {
    const { layers, session } = this.#chain;
    return describeLayer(layers[0], session.context.sandbox.kind);
  }

  /** The same of the image and all below it, the named one first. */
  infoChain(): readonly ImageDescription[] {
    const { layers, session } = this.#chain;
    return layers.map((layer) => describeLayer(layer, session.context.sandbox.kind));
  }

  /**
   * What every range of the disk is made of, through all of the chain; neighbours are one extent wherever one continues the
   * other. Other requests may come in between.
   * @throws EngineError while it is read
   */
  extents(range: DiskRange = {}): AsyncGenerator<MappedExtent> {
    const { start, length } = checkRange(range);
    return mapChain(this.#chain, this.#scratch, rangeOf(start, length), async (action) => this.#turn(action));
  }

  /**
   * Bytes of the disk.
   * @param offset first virtual byte
   * @param length bytes; fewer come where the disk ends before
   * @throws EngineError
   */
  async read(offset: bigint | number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const { start, length: wanted } = checkReadRange({ start: offset, length });
    const left = start < this.virtualSize ? this.virtualSize - start : 0n;
    const total = Number(wanted < left ? wanted : left);
    if (total <= MOST_READ) return this.#turn(async () => this.#read(start, total));
    return this.#turn(async () => {
      const bytes = room(total);
      for (let done = 0; done < total; done += MOST_READ) {
        const size = Math.min(MOST_READ, total - done);
        bytes.set(await this.#read(start + BigInt(done), size), done);
      }
      return bytes;
    });
  }

  /**
   * The disk, or a part of it, as a stream of bytes.
   * @throws EngineError `INVALID_OPTION` at once; others come through the stream
   */
  createReadStream(range: StreamRange = {}): Readable {
    const { start: first = 0n, end: last = this.virtualSize - 1n } = checkStreamRange(range);
    const behind = last + 1n < this.virtualSize ? last + 1n : this.virtualSize;
    const pieces = async function* (this: Image): AsyncGenerator<Uint8Array> {
      for (let at = first; at < behind; at += BigInt(STREAM_PIECE)) {
        const left = behind - at;
        yield await this.read(at, left < BigInt(STREAM_PIECE) ? Number(left) : STREAM_PIECE);
      }
    };
    return Readable.from(pieces.call(this), { objectMode: false });
  }

  /** The same as a stream of the Web, as `Response` takes it. */
  createWebStream(range: StreamRange = {}): ReadableStream<Uint8Array> {
    return Readable.toWeb(this.createReadStream(range)) as ReadableStream<Uint8Array>;
  }

  /**
   * Says whether the image's own metadata agrees with itself.
   * @param onFinding called with each finding
   * @throws EngineError where it cannot be read
   */
  async check(onFinding?: (finding: CheckFinding) => void): Promise<CheckReport> {
    const [{ file, info }] = this.#chain.layers;
    const subject = { file: file.path, format: info.format, last: false, onFinding: checkOnFinding(onFinding) };
    return this.#turn(async () => checkImage(this.#chain.session, this.#scratch, subject));
  }

  /** Ends the guest and closes all files, once what was asked is answered. */
  async close(): Promise<void> {
    this.#closed ??= this.#last.then(async () => {
      await this.#chain.close();
      await this.#scratch.close();
    });
    return this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Runs `action` when what was asked before is answered. */
  async #turn<T>(action: () => Promise<T>): Promise<T> {
    if (this.#closed !== undefined) {
      throw new EngineError('FILE_NOT_USABLE', 'is closed', { file: this.#chain.layers[0].file.path });
    }
    const mine = this.#last.then(action);
    this.#last = mine.catch(() => undefined);
    return mine;
  }

  async #read(start: bigint, length: number): Promise<Uint8Array<ArrayBuffer>> {
    if (length === 0) return new Uint8Array(0);
    const { session, layers } = this.#chain;
    const subject = layers[0].file.path;
    const inputs = session.devices.length - 1;
    const result = await perform(session, {
      config: ConvertConfig.encode({
        flags: CONVERT_FLAG.values.DD_WINDOW,
        input_device_count: inputs,
        target_format: IMAGE_FORMAT.values.RAW,
        window_start: start,
        window_end: start + BigInt(length),
      }),
      result: ConvertResult,
      magic: CONVERT_RESULT_MAGIC,
      subject,
      last: false,
      outputBytes: BigInt(length) * 2n,
    });
    if (result.output_length !== BigInt(length)) throw impossibleResult(subject);
    return this.#scratch.bytes(length);
  }
}

/** @throws EngineError where there is no room for so many bytes */
function room(length: number): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(length);
  } catch (error) {
    const what = `range.length: found ${length}, expected so many bytes as fit memory; createReadStream has no bound`;
    throw new EngineError('INVALID_OPTION', what, { cause: error });
  }
}

/**
 * Opens an image with everything that it reads from, and keeps it open: whoever asks several things of an image pays for
 * one sandbox. It is parsed inside that sandbox only.
 * @throws EngineError
 */
export async function openImage(
  file: string,
  givenOptions: ReadOptions = {},
  givenControl: OperationControl = {},
): Promise<Image> {
  checkFileName(file);
  const options = checkReadOptions(givenOptions);
  const chain = await openForReading(file, options, new GuestSession(guestContext(checkControl(givenControl))));
  try {
    const scratch = await ScratchFile.create();
    chain.session.add({ ...scratch.device, entry: { ...scratch.device.entry, flags: DEVICE_FLAG.values.EXACT } });
    return new Image(chain, scratch);
  } catch (error) {
    await chain.close();
    throw error;
  }
}
