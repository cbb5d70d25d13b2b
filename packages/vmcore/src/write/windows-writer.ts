import { checkAborted, VmcoreError } from '../errors.js';
import type { MemoryImage } from '../image.js';
import { VMCOREINFO_NOTE } from '../notes/vmcoreinfo.js';
import type { DumpSink } from '../sink/dump-sink.js';
import {
  MAX_WINDOWS_RUNS,
  WINDOWS_FULL_DUMP,
  WINDOWS_PAGE,
  windowsHeaderOf,
  type WindowsHeader,
} from '../structures/windows-dump.js';
import type { WriteProgress } from './dump-state.js';

/** Memory that is read at once (bytes). */
const BATCH = 4 << 20;

/** Pages that follow each other. */
interface Run {
  readonly start: bigint;
  readonly pages: bigint;
}

/** The header that the guest's driver left for its hypervisor, where Linux has its text. */
function guestHeader(image: MemoryImage): { readonly bytes: Uint8Array; readonly layout: WindowsHeader } {
  const note = image.notes.find(({ name }) => name === VMCOREINFO_NOTE);
  const layout = note === undefined ? undefined : windowsHeaderOf(note.descriptor);
  if (note === undefined || layout === undefined || note.descriptor.length < layout.size) {
    throw new VmcoreError('UNSUPPORTED', 'cannot become a crash dump of Windows: it has no header of one', {
      file: image.name,
      field: VMCOREINFO_NOTE,
      found: note === undefined ? 'no such note' : `${note.descriptor.length} bytes of something else`,
      expected: 'the dump of a Windows with the fw_cfg driver of virtio-win, in a machine with -device vmcoreinfo',
    });
  }
  return { bytes: Uint8Array.from(note.descriptor.subarray(0, layout.size)), layout };
}

function runsOf(image: MemoryImage, bytes: Uint8Array, layout: WindowsHeader): Run[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const { wordBytes } = layout;
  const word = (at: number): bigint =>
    wordBytes === 8 ? view.getBigUint64(at, true) : BigInt(view.getUint32(at, true));
  const impossible = (field: string, found: string, expected: string): VmcoreError =>
    new VmcoreError('BAD_DUMP', "the guest's header of a Windows crash dump is not valid", {
      file: image.name,
      field,
      found,
      expected,
    });
  const [count, most] = [view.getUint32(layout.runCount, true), MAX_WINDOWS_RUNS[wordBytes]];
  if (count === 0 || count > most) throw impossible('NumberOfRuns', String(count), `1 to ${most}`);
  const runs: Run[] = [];
  let behind = 0n;
  for (let index = 0; index < count; index += 1) {
    const at = layout.runs + 2 * wordBytes * index;
    const [first, pages] = [word(at), word(at + wordBytes)];
    const start = first * BigInt(WINDOWS_PAGE);
    const end = start + pages * BigInt(WINDOWS_PAGE);
    if (start < behind || end > image.addressLimit) {
      const limit = `pages in ascending order, below address 0x${image.addressLimit.toString(16)}`;
      throw impossible(`Run[${index}]`, `page ${first}, ${pages} pages`, limit);
    }
    behind = end;
    if (pages > 0n) runs.push({ start, pages });
  }
  return runs;
}

/**
 * Writes a full crash dump of Windows: the header that its driver left in VMCOREINFO, and all pages of the runs in it. The
 * registers in it are those that Windows saved itself.
 * @returns bytes of the dump
 * @throws VmcoreError `UNSUPPORTED` without such a header, `BAD_DUMP`, `PAGE_EXCLUDED`, `NO_MEMORY` where a run is not all there
 */
export async function writeWindows(image: MemoryImage, sink: DumpSink, progress: WriteProgress): Promise<bigint> {
  const { bytes, layout } = guestHeader(image);
  const runs = runsOf(image, bytes, layout);
  const total = runs.reduce((sum, { pages }) => sum + pages, 0n);
  const length = BigInt(layout.size) + total * BigInt(WINDOWS_PAGE);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (layout.wordBytes === 8) view.setBigUint64(layout.pageCount, total, true);
  else view.setUint32(layout.pageCount, Number(total), true);
  view.setUint32(layout.dumpType, WINDOWS_FULL_DUMP, true);
  view.setBigUint64(layout.requiredSpace, length, true);
  await sink.write(0n, bytes);
  progress.total(total * BigInt(WINDOWS_PAGE));
  const buffer = new Uint8Array(BATCH);
  let position = BigInt(layout.size);
  for (const { start, pages } of runs) {
    const size = pages * BigInt(WINDOWS_PAGE);
    for (let done = 0n; done < size;) {
      checkAborted(progress.signal);
      const left = size - done;
      const data = buffer.subarray(0, left < BigInt(BATCH) ? Number(left) : BATCH);
      await image.readInto(start + done, data);
      await sink.write(position, data);
      position += BigInt(data.length);
      done += BigInt(data.length);
      progress.wrote(BigInt(data.length));
    }
  }
  return length;
}
