import { readFile } from 'node:fs/promises';
import { escapeText } from '@instar/engine';
import {
  fileSource,
  providedImage,
  VmcoreError,
  VmcoreInfo,
  type ByteSource,
  type Machine,
  type MemoryImage,
} from '@instar/vmcore';
import { numberOf, usageError } from './flags.js';

/** Most bytes of VMCOREINFO: Linux's has a page or two. */
const MAX_VMCOREINFO = 1 << 20;

interface RawFile {
  readonly source: ByteSource;
  readonly start: bigint;
}

/** `FILE@ADDRESS`; the name itself may have an @. */
function wordOf(word: string): { readonly file: string; readonly start: bigint } {
  const at = word.lastIndexOf('@');
  if (at <= 0) throw usageError(`found ${escapeText(word)}, expected FILE@ADDRESS`);
  return { file: word.slice(0, at), start: numberOf(word.slice(at + 1), 'ADDRESS') };
}

async function vmcoreInfoText(file: string | undefined): Promise<string | undefined> {
  if (file === undefined) return undefined;
  const bytes = await readFile(file).catch((error: unknown) => {
    const problem = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new VmcoreError('READ_FAILED', `cannot be read: ${problem}`, { file, cause: error });
  });
  if (bytes.length <= MAX_VMCOREINFO) return bytes.toString('latin1').replace(/\0+$/, '');
  throw usageError(`found ${bytes.length} bytes of VMCOREINFO, expected at most ${MAX_VMCOREINFO}`);
}

/**
 * Files of raw memory, each at its physical address, as the memory of one machine.
 * @param vmcoreInfo file with VMCOREINFO: what /sys/kernel/vmcoreinfo points to, or what `notes` shows of another dump
 */
export async function rawImage(
  words: readonly string[],
  machine: Machine,
  vmcoreInfo: string | undefined,
): Promise<{ readonly image: MemoryImage; readonly close: () => Promise<void> }> {
  const wanted = words.map(wordOf);
  const text = await vmcoreInfoText(vmcoreInfo);
  const files: RawFile[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(files.map(async ({ source }) => source.close()));
  };
  try {
    for (const { file, start } of wanted) files.push({ source: await fileSource(file), start });
    const pageSize = text === undefined ? undefined : new VmcoreInfo(text).pageSize;
    const provided = providedImage({
      name: 'raw memory',
      machine,
      pageSize: pageSize === undefined ? undefined : Number(pageSize),
      ranges: files.map(({ source, start }) => ({ start, length: source.size })),
      vmcoreinfo: text,
      read: async (address, target) => {
        const file = files.find(({ source, start }) => address >= start && address < start + source.size);
        if (file === undefined) throw new RangeError('memory was asked for that nobody offered');
        const read = await file.source.read(address - file.start, target);
        if (read < target.length) {
          throw new VmcoreError('TRUNCATED', 'the file has become shorter', { file: file.source.name });
        }
      },
    });
    const inputs = files.map(({ source: { name, size, identity } }) => ({
      path: name,
      size,
      flattened: false,
      identity,
    }));
    // What is written must be none of what is read.
    return { image: { ...provided, files: inputs } as MemoryImage, close };
  } catch (error) {
    await close();
    throw error;
  }
}
