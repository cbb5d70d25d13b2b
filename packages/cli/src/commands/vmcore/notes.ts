import { escapeText, quoteName } from '@instar/engine';
import type { CpuRegisters, Dump } from '@instar/vmcore';
import { EXIT_CODES } from '../../exit-codes.js';
import { dumpJson, hexText, hexTexts } from './dump-json.js';
import { SHOWN_NOTES, withDump, type CommandContext, type Flags } from './flags.js';
import { standardOutput } from '../../process/standard-streams.js';

/** Bytes of a note that `--json` gives in full. */
const SHOWN_BYTES = 4096;

function notesJson(dump: Dump): object {
  return {
    'note-count': dump.notes.length,
    notes: dump.notes.slice(0, SHOWN_NOTES).map(({ name, type, descriptor }) => ({
      name,
      type,
      size: descriptor.length,
      hex: Buffer.from(descriptor.subarray(0, SHOWN_BYTES)).toString('hex'),
    })),
    'cpu-count': dump.cpus.length,
    cpus: dump.cpus.slice(0, SHOWN_NOTES).map(({ cpu, pid, registers, controlRegisters }) => ({
      cpu,
      pid,
      registers: hexTexts(registers),
      'control-registers': controlRegisters?.map(hexText),
    })),
    vmcoreinfo: dump.vmcoreinfo?.text,
  };
}

function cpuText({ cpu, pid, registers, controlRegisters = [] }: CpuRegisters, digits: number): string {
  const all = [...Object.entries(registers), ...controlRegisters.map((value, index) => [`cr${index}`, value] as const)];
  const width = Math.max(...all.map(([name]) => name.length));
  const cells = all.map(([name, value]) => `${name.padStart(width)} ${value.toString(16).padStart(digits, '0')}`);
  const lines: string[] = [];
  for (let at = 0; at < cells.length; at += 3) lines.push(`  ${cells.slice(at, at + 3).join('  ')}\n`);
  return `CPU ${cpu} (process ${pid}):\n${lines.join('')}`;
}

function notesText(dump: Dump): string {
  const list = dump.notes
    .slice(0, SHOWN_NOTES)
    .map(
      ({ name, type, descriptor }) =>
        `${quoteName(name).padEnd(16)} type 0x${type.toString(16).padEnd(6)} ${descriptor.length} bytes\n`,
    );
  const cpus = dump.cpus.slice(0, SHOWN_NOTES).map((cpu) => cpuText(cpu, dump.wordBits / 4));
  const text = dump.vmcoreinfo?.text.split('\n').map((line) => (line === '' ? '' : `  ${escapeText(line)}\n`)) ?? [];
  const left = dump.notes.length - list.length;
  if (left > 0) list.push(`and ${left} more\n`);
  return [...list, ...cpus, ...(text.length === 0 ? [] : ['VMCOREINFO:\n', ...text])].join('');
}

/** `instar vmcore notes`. */
export async function notes(files: readonly string[], flags: Flags, context: CommandContext): Promise<number> {
  return withDump(files, context, async (dump) => {
    standardOutput.write(flags.json === true ? `${dumpJson(notesJson(dump))}\n` : notesText(dump));
    return Promise.resolve(EXIT_CODES.OK);
  });
}
