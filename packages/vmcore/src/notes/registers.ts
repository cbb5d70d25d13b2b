import type { Endian } from '@instar/layout';
import { VmcoreError } from '../errors.js';
import type { Machine } from '../structures/machines.js';
import {
  CORE_NOTE,
  hasRegisters,
  isNarrow,
  NT_PRSTATUS,
  prstatus,
  PROGRAM_COUNTER,
  QEMU_NOTE,
  QEMU_NOTE_TYPE,
  QemuCpuState,
} from '../structures/prstatus.js';
import { dumpTarget, structureCodec, type WordBits } from '../structures/targets.js';
import type { Note } from './note.js';

/** How the notes of a dump are written. */
export interface NoteFormat {
  readonly machine: Machine;
  readonly byteOrder: Endian;
  readonly wordBits: WordBits;
}

/** Registers of a CPU, by the names of its machine. */
export interface CpuRegisters {
  /** Index among the dump's CPUs. */
  readonly cpu: number;
  /** Process that ran, as the note says; QEMU counts CPUs from 1 here. */
  readonly pid: number;
  readonly registers: Readonly<Record<string, bigint>>;
  /** Address of the next instruction. */
  readonly programCounter: bigint;
  /** Control registers 0 to 4 of an x86 CPU, where QEMU's own note has them. */
  readonly controlRegisters?: readonly bigint[];
}

/** QEMU writes i386 with memory above 4 GiB as ELF64, with the notes of ELF32. */
function noteWordBits({ machine, wordBits }: NoteFormat): WordBits {
  return isNarrow(machine) ? 32 : wordBits;
}

function registersOf(note: Note, format: NoteFormat, cpu: number): CpuRegisters | undefined {
  const { machine } = format;
  if (!hasRegisters(machine)) return undefined;
  const codec = structureCodec(prstatus(machine), dumpTarget(format.byteOrder, noteWordBits(format)));
  if (note.descriptor.length < codec.size) return undefined;
  const { pr_pid: pid, pr_reg: set } = codec.decode(note.descriptor);
  const registers = Object.fromEntries(Object.entries(set).map(([name, value]) => [name, BigInt(value)]));
  return { cpu, pid, registers, programCounter: registers[PROGRAM_COUNTER[machine]] ?? 0n };
}

/** The registers in the notes of a dump, a CPU for each NT_PRSTATUS that the machine's layout fits. */
export function cpusOf(notes: readonly Note[], format: NoteFormat): CpuRegisters[] {
  const statuses = notes.filter((note) => note.name === CORE_NOTE && note.type === NT_PRSTATUS);
  const states = notes.filter((note) => note.name === QEMU_NOTE && note.type === QEMU_NOTE_TYPE);
  return statuses.flatMap((note, cpu) => {
    const found = registersOf(note, format, cpu);
    if (found === undefined) return [];
    const state = states[cpu];
    const codec = structureCodec(QemuCpuState, dumpTarget(format.byteOrder, 64));
    const x86 = format.machine === 'x86_64' || format.machine === 'i386';
    // Older versions of the note lack its last field.
    if (!x86 || state === undefined || state.descriptor.length < codec.size - 8) return [found];
    const whole = new Uint8Array(codec.size);
    whole.set(state.descriptor.subarray(0, codec.size));
    return [{ ...found, controlRegisters: codec.decode(whole).cr }];
  });
}

/** A CPU whose notes are to be written. */
export interface CpuState {
  /** Registers by name; those that are left out are zero. */
  readonly registers: Readonly<Record<string, bigint>>;
  /** Default: the CPU's number, from 1. */
  readonly pid?: number | undefined;
  /** QEMU's note for x86: segment registers with base, limit and flags, and control registers. */
  readonly qemu?: Readonly<Record<string, unknown>> | undefined;
}

/**
 * The notes of a CPU: NT_PRSTATUS, and QEMU's own where its content is given.
 * @param index the CPU's number, from 0
 * @throws VmcoreError `INVALID_ARGUMENT` when the machine has no register of a name
 */
export function cpuNotes(cpu: CpuState, index: number, format: NoteFormat): Note[] {
  const { machine } = format;
  if (!hasRegisters(machine)) return [];
  const wordBits = noteWordBits(format);
  const target = dumpTarget(format.byteOrder, wordBits);
  const type = prstatus(machine);
  const codec = structureCodec(type, target);
  const zero = codec.zero();
  const narrow = (name: string, value: bigint): bigint | number =>
    typeof zero.pr_reg[name] === 'number' ? Number(BigInt.asUintN(32, value)) : BigInt.asUintN(wordBits, value);
  const unknown = Object.keys(cpu.registers).find((name) => !Object.hasOwn(zero.pr_reg, name));
  if (unknown !== undefined) {
    throw new VmcoreError('INVALID_ARGUMENT', 'the machine has no such register', {
      found: unknown,
      expected: `registers of ${machine}: ${Object.keys(zero.pr_reg).join(', ')}`,
    });
  }
  const set = Object.fromEntries(Object.entries(cpu.registers).map(([name, value]) => [name, narrow(name, value)]));
  const status = codec.encode({ ...zero, pr_pid: cpu.pid ?? index + 1, pr_reg: { ...zero.pr_reg, ...set } });
  const notes: Note[] = [{ name: CORE_NOTE, type: NT_PRSTATUS, descriptor: status }];
  if (cpu.qemu !== undefined) {
    const qemu = structureCodec(QemuCpuState, target);
    const descriptor = qemu.encode({ version: 1, size: qemu.size, ...cpu.qemu });
    notes.push({ name: QEMU_NOTE, type: QEMU_NOTE_TYPE, descriptor });
  }
  return notes;
}
