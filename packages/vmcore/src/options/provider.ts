import * as v from 'valibot';
import type { Utsname } from '../image.js';
import type { Note } from '../notes/note.js';
import type { CpuState } from '../notes/registers.js';
import { ELF_MACHINES } from '../structures/machines.js';
import type { MemoryProvider, ProviderRange } from '../write/provider.js';
import { bytes, callback, checked, count, integer, oneOf, options, word, type Fields } from './kinds.js';

const MACHINES = ['unknown', ...(Object.keys(ELF_MACHINES) as (keyof typeof ELF_MACHINES)[])] as const;

const range = options({
  start: integer,
  length: integer,
  virtual: v.optional(integer),
} satisfies Fields<ProviderRange>);

const cpu = options({
  registers: v.record(word, integer, 'an object of registers by name'),
  pid: v.optional(count),
  qemu: v.optional(v.record(word, v.unknown(), 'an object')),
} satisfies Fields<CpuState>);

const note = options({ name: word, type: count, descriptor: bytes } satisfies Fields<Note>);

const utsname = options({
  sysname: word,
  nodename: word,
  release: word,
  version: word,
  machine: word,
  domainname: word,
} satisfies Fields<Utsname>);

const provider = options({
  name: v.optional(word),
  machine: oneOf(...MACHINES),
  byteOrder: v.optional(oneOf('little', 'big')),
  wordBits: v.optional(v.picklist([32, 64], '32 or 64')),
  pageSize: v.optional(count),
  ranges: v.array(range, 'an array of ranges of memory'),
  read: callback,
  cpus: v.optional(v.array(cpu, 'an array of CPUs')),
  vmcoreinfo: v.optional(word),
  notes: v.optional(v.array(note, 'an array of notes')),
  physBase: v.optional(integer),
  utsname: v.optional(utsname),
} satisfies Fields<MemoryProvider>);

/** @throws VmcoreError `INVALID_OPTION` */
export function checkProvider(value: MemoryProvider): MemoryProvider {
  return checked(provider, 'provider', value) as unknown as MemoryProvider;
}
