import { escapeText, quoteName } from '@instar/engine';
import type { CpuRegisters, CutOff, Dump } from '@instar/vmcore';
import { EXIT_CODES } from '../../exit-codes.js';
import { dumpJson, hexText, hexTexts } from './dump-json.js';
import { humanSize } from '../../render/size.js';
import { printWarnings, SHOWN_NOTES, withDump, type CommandContext, type Flags } from './flags.js';
import { standardOutput } from '../../process/standard-streams.js';

/** Ranges that are shown; a sparse dump may have millions. */
const SHOWN_RANGES = 1000;

const hex = (value: bigint): string => `0x${value.toString(16)}`;

interface Ranges {
  readonly shown: readonly { readonly start: bigint; readonly length: bigint; readonly stored: boolean }[];
  readonly count: number;
  readonly storedBytes: bigint;
  readonly excludedBytes: bigint;
}

async function rangesOf(dump: Dump, signal: AbortSignal): Promise<Ranges> {
  const shown: { start: bigint; length: bigint; stored: boolean }[] = [];
  let count = 0;
  let [storedBytes, excludedBytes] = [0n, 0n];
  for await (const { start, length, kind } of dump.extents()) {
    signal.throwIfAborted();
    const stored = kind === 'stored';
    if (stored) storedBytes += length;
    else excludedBytes += length;
    const last = shown[shown.length - 1];
    if (count === shown.length && last?.stored === stored && last.start + last.length === start) {
      last.length += length;
      continue;
    }
    count += 1;
    if (shown.length < SHOWN_RANGES) shown.push({ start, length, stored });
  }
  return { shown, count, storedBytes, excludedBytes };
}

function cpuJson({ cpu, pid, programCounter, registers }: CpuRegisters): object {
  return { cpu, pid, 'program-counter': hexText(programCounter), registers: hexTexts(registers) };
}

function infoJson(dump: Dump, ranges: Ranges, cutOff: CutOff | undefined): object {
  const { vmcoreinfo } = dump;
  return {
    files: dump.files.map(({ path, size, flattened }) => ({ path, size, flattened })),
    format: dump.format,
    version: dump.version,
    compression: dump.compression,
    machine: dump.machine,
    'byte-order': dump.byteOrder,
    'word-bits': dump.wordBits,
    'page-size': dump.pageSize,
    'dump-level': dump.dumpLevel,
    incomplete: dump.incomplete,
    'process-core': dump.processCore === true ? true : undefined,
    'cut-off': cutOff,
    split: dump.split === undefined ? undefined : { 'start-pfn': dump.split.startPfn, 'end-pfn': dump.split.endPfn },
    timestamp: dump.timestamp?.toISOString(),
    'phys-base': dump.physBase,
    'address-limit': dump.addressLimit,
    'stored-bytes': ranges.storedBytes,
    'excluded-bytes': ranges.excludedBytes,
    'range-count': ranges.count,
    ranges: ranges.shown,
    'note-count': dump.notes.length,
    notes: dump.notes
      .slice(0, SHOWN_NOTES)
      .map(({ name, type, descriptor }) => ({ name, type, size: descriptor.length })),
    'cpu-count': dump.cpus.length,
    cpus: dump.cpus.slice(0, SHOWN_NOTES).map(cpuJson),
    vmcoreinfo: vmcoreinfo === undefined ? undefined : Object.fromEntries(vmcoreinfo.entries()),
    'erase-info': dump.eraseInfo === undefined ? undefined : Buffer.from(dump.eraseInfo).toString('latin1'),
    warnings: dump.warnings,
  };
}

function describeFormat(dump: Dump): string {
  const flattened = dump.files.some((file) => file.flattened) ? ', flattened' : '';
  if (dump.processCore === true) return `ELF${dump.wordBits} core of a process`;
  if (dump.format === 'elf') return `ELF${dump.wordBits} vmcore${flattened}`;
  const codecs = dump.compression.length === 0 ? 'pages stored' : dump.compression.join(', ');
  return `kdump-compressed, version ${dump.version}, ${codecs}${flattened}`;
}

function infoText(dump: Dump, ranges: Ranges): string {
  const lines: (readonly [string, string])[] = [
    ...dump.files.map(({ path, size }) => ['file', `${escapeText(path)} (${humanSize(size)})`] as const),
    ['format', describeFormat(dump)],
    ['machine', `${dump.machine}, ${dump.wordBits} bits, ${dump.byteOrder} endian, pages of ${dump.pageSize} bytes`],
    ['memory', `${humanSize(ranges.storedBytes)} (${ranges.storedBytes} bytes) in ${ranges.count} ranges`],
  ];
  if (ranges.excludedBytes > 0n) lines.push(['left out', `${humanSize(ranges.excludedBytes)} of memory that existed`]);
  if (dump.split !== undefined) {
    lines.push(['part', `page frames ${hex(dump.split.startPfn)} to ${hex(dump.split.endPfn)} of a split dump`]);
  }
  if (dump.timestamp !== undefined) lines.push(['time', dump.timestamp.toISOString()]);
  const release = dump.vmcoreinfo?.osRelease ?? dump.utsname?.release ?? '';
  if (release !== '') lines.push(['release', escapeText(release)]);
  if (dump.physBase !== undefined) {
    lines.push(['phys_base', dump.physBase < 0n ? String(dump.physBase) : hex(dump.physBase)]);
  }
  lines.push([
    'notes',
    dump.notes
      .slice(0, SHOWN_NOTES)
      .map(({ name, type }) => `${quoteName(name)} ${type}`)
      .join(', '),
  ]);
  for (const { cpu, programCounter } of dump.cpus.slice(0, SHOWN_NOTES)) {
    lines.push([`CPU ${cpu}`, `at ${hex(programCounter)}`]);
  }
  const width = Math.max(...lines.map(([name]) => name.length)) + 2;
  const head = lines.map(([name, value]) => `${`${name}:`.padEnd(width)}${value}\n`).join('');
  const table = ranges.shown.map(
    ({ start, length, stored }) =>
      `  ${hex(start).padStart(18)}  ${hex(start + length).padStart(18)}  ${humanSize(length)}${stored ? '' : ', left out'}\n`,
  );
  const more = ranges.count > table.length ? `  and ${ranges.count - table.length} more\n` : '';
  return `${head}ranges of physical memory (from, to before):\n${table.join('')}${more}`;
}

/** `instar vmcore info`. */
export async function info(files: readonly string[], flags: Flags, context: CommandContext): Promise<number> {
  const { signal } = context;
  return withDump(files, context, async (dump) => {
    const ranges = await rangesOf(dump, signal);
    if (flags.json === true) {
      standardOutput.write(`${dumpJson(infoJson(dump, ranges, await dump.cutOff()))}\n`);
    } else {
      await printWarnings(dump);
      standardOutput.write(infoText(dump, ranges));
    }
    return EXIT_CODES.OK;
  });
}
