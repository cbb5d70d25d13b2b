import { MEMORY_MAP, MEMORY_SIZE, RegistersX86_64 } from '@instar/shared-abi';
import type { DumpReport } from '@instar/vmm-native';
import type { DumpMemory } from './dump-memory.js';
import type { DumpTarget, WrittenDump } from './dump-target.js';
import { EngineError } from './errors.js';

/** Bytes in front of a VMCOREINFO note's descriptor: the header, and its name in whole words. */
const NOTE_HEAD = 24;
const NO_SYSTEM_CALL = (1n << 64n) - 1n;
/** Limit and flags of a flat segment, as QEMU has them. */
const FLAT = { limit: 0xffff_ffff, flags: 0, pad: 0 };

function registersOf(report: DumpReport): Record<string, bigint> {
  const { rflags = 0n, ...general } = Object.fromEntries(
    RegistersX86_64.layout.map((item, index) => [item.name, report.registers[index] ?? 0n]),
  );
  const { fsBase, gsBase, ...selectors } = report.segments;
  const named = Object.entries(selectors).map(([name, value]) => [name, BigInt(value)] as const);
  return {
    ...general,
    ...Object.fromEntries(named),
    eflags: rflags,
    orig_rax: NO_SYSTEM_CALL,
    fs_base: fsBase,
    gs_base: gsBase,
  };
}

/** QEMU's note: above all the control registers, by which tools find the page tables. */
function qemuState(report: DumpReport): Record<string, unknown> {
  const general = Object.fromEntries(
    RegistersX86_64.layout.map((item, index) => [item.name, report.registers[index] ?? 0n]),
  );
  const { fsBase, gsBase, ...selectors } = report.segments;
  const bases: Readonly<Record<string, bigint>> = { fs: fsBase, gs: gsBase };
  const segments = Object.entries(selectors).map(
    ([name, selector]) => [name, { ...FLAT, selector, base: bases[name] ?? 0n }] as const,
  );
  return {
    version: 1,
    size: 440,
    ...general,
    ...Object.fromEntries(segments),
    cr: [report.cr0, 0n, report.cr2, report.cr3, report.cr4],
  };
}

async function noteText(report: DumpReport, memory: DumpMemory): Promise<string | undefined> {
  const { note } = report.vmcoreinfo;
  if (note === undefined) return undefined;
  const bytes = Buffer.alloc(Number(note.length));
  await memory.read(note.address, bytes);
  const end = NOTE_HEAD + bytes.readUInt32LE(4);
  return bytes.toString('latin1', NOTE_HEAD, end);
}

/** How a write goes on. */
export interface DumpWriteControl {
  readonly signal?: AbortSignal | undefined;
  /** Called a few times a second with bytes done and bytes to do. */
  readonly onProgress?: ((done: bigint, total: bigint) => void) | undefined;
}

/**
 * Writes what the VMM has taken as a dump that the usual tools open.
 * @throws EngineError `WRITE_FAILED`, `ABORTED`; no file is left then, and one that was there is as it was
 */
export async function writeGuestDump(
  report: DumpReport,
  memory: DumpMemory,
  target: DumpTarget,
  { signal, onProgress }: DumpWriteControl = {},
): Promise<WrittenDump> {
  if (report.error !== undefined) {
    throw new EngineError('WRITE_FAILED', `the dump cannot be written: ${report.error}`, { file: target.path });
  }
  // Loaded here: an operation that goes well does not wait for it.
  const { providedImage, VmcoreInfo, writeDump, VmcoreError } = await import('@instar/vmcore');
  const text = await noteText(report, memory);
  const release = text === undefined ? undefined : new VmcoreInfo(text).get('OSRELEASE');
  const image = providedImage({
    name: 'guest memory',
    machine: 'x86_64',
    ranges: MEMORY_MAP.filter(({ start, protection }) => start < MEMORY_SIZE && protection !== 'none').map(
      ({ start, size, protection }) => ({
        start: BigInt(start),
        length: BigInt(size),
        // The guest's own memory is mapped where it lies; what only its kernel has is not mapped at all.
        ...(protection === 'supervisor' ? {} : { virtual: BigInt(start) }),
      }),
    ),
    read: (address, buffer) => memory.read(address, buffer),
    cpus: [{ registers: registersOf(report), qemu: qemuState(report) }],
    vmcoreinfo: text,
    physBase: 0n,
    utsname: {
      sysname: 'instar',
      nodename: '',
      release: release ?? '',
      version: '',
      machine: 'x86_64',
      domainname: '',
    },
  });
  const format = target.format ?? 'elf';
  try {
    const state = await writeDump(
      image,
      { file: target.path },
      {
        format,
        zstd: target.path.endsWith('.zst'),
        signal,
        onProgress: (progress) => onProgress?.(progress.writtenSize, progress.totalSize),
      },
    );
    return {
      path: target.path,
      reason: report.reason,
      bytes: state.writtenSize,
      ...(report.vmcoreinfo.warning === undefined ? {} : { warning: report.vmcoreinfo.warning }),
    };
  } catch (error) {
    if (!(error instanceof VmcoreError)) throw error;
    const code = error.code === 'ABORTED' ? 'ABORTED' : 'WRITE_FAILED';
    throw new EngineError(code, `the dump cannot be written: ${error.problem}`, { file: target.path, cause: error });
  }
}
