import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Capability, objectEntry, processWith, RegistersColdFire, RegistersRiscV } from '../examples/capability.js';
import { Instruction, Regs, RegsByLabel } from '../examples/ebpf-regs.js';
import { bump, MipsRelInfo, Rela, RelInfo32, RelInfo64, symbolsOf } from '../examples/elf-rela.js';
import {
  aarch64,
  aarch64_be,
  codec,
  headOf,
  headSize,
  i386,
  indexOfPointer,
  loadHead,
  pointerOfIndex,
  s390x,
  truncateTail,
  x86_64,
  type Target,
} from '../src/index.js';

const BYTES = Uint8Array.of(0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x80);

describe('the guide', () => {
  it('shows each example as it is tested', () => {
    const guide = readFileSync(new URL('../../../docs/layouts.md', import.meta.url), 'utf8');
    const directory = new URL('../examples/', import.meta.url);
    const names = readdirSync(directory);
    expect(names.length).toBeGreaterThanOrEqual(3);
    for (const name of names) {
      const text = readFileSync(new URL(name, directory), 'utf8');
      expect(guide.includes(`\`\`\`ts\n${text}\`\`\``), `docs/layouts.md has another ${name}`).toBe(true);
    }
  });
});

describe('ELF relocations', () => {
  it('swap as a whole, where the info is one integer', () => {
    expect(codec(RelInfo64, s390x).decode(BYTES)).toEqual({ r_sym: 0x10203040, r_type: 0x50607080 });
    expect(codec(RelInfo64, x86_64).decode(BYTES)).toEqual({ r_sym: 0x80706050, r_type: 0x40302010 });
    expect(codec(RelInfo32, x86_64).decode(BYTES)).toEqual({ r_sym: 0x403020, r_type: 0x10 });
  });

  it('swap field by field, where it is a struct', () => {
    const rest = { r_ssym: 0x50, r_type3: 0x60, r_type2: 0x70, r_type: 0x80 };
    expect(codec(MipsRelInfo, s390x).decode(BYTES)).toEqual({ r_sym: 0x10203040, ...rest });
    expect(codec(MipsRelInfo, x86_64).decode(BYTES)).toEqual({ r_sym: 0x40302010, ...rest });
  });

  it('are read in place', () => {
    for (const target of [x86_64, s390x]) {
      const section = codec(Rela, target).encodeArray([{ r_info: { r_sym: 5, r_type: 1 } }, { r_info: { r_sym: 9 } }]);
      expect(symbolsOf(section, target.endian === 'big')).toEqual([5, 9]);
    }
  });

  it('can be calculated with', () => {
    expect(bump({ r_sym: 1, r_type: 2 })).toBe(0x1_0000_002an);
  });
});

describe('eBPF registers', () => {
  it('lie where the compilers put them, and where the labels say', () => {
    for (const target of [x86_64, i386, aarch64, aarch64_be, s390x]) {
      const expected = target.endian === 'little' ? { dst: 2, src: 1 } : { dst: 1, src: 2 };
      expect(codec(Regs, target).decode(Uint8Array.of(0x12))).toEqual(expected);
      expect(codec(RegsByLabel, target).decode(Uint8Array.of(0x12))).toEqual(expected);
    }
  });

  it('are a part of an instruction', () => {
    // r1 = *(u32 *)(r10 - 8), as clang assembles it for little endian.
    const load = Uint8Array.of(0x61, 0xa1, 0xf8, 0xff, 0, 0, 0, 0);
    expect(codec(Instruction).decode(load)).toEqual({ code: 0x61, regs: { dst: 1, src: 10 }, off: -8, imm: 0 });
  });
});

describe('capabilities and processes', () => {
  it('are read by a tag of six bits', () => {
    const bytes = codec(Capability).encode({
      header: { alloc_count: 3 },
      body: { arm: 'object', value: { oid: 77n } },
    });
    expect(codec(Capability).decode(bytes)).toEqual({
      header: { alloc_count: 3, restr: 0, swizzled: 0, kind: 17 },
      body: { arm: 'object', value: { oid: 77n } },
    });
  });

  it('turn a pointer into an index and back', () => {
    const table = { base: 0xffff_8000_0000_0000n, count: 1024n };
    const pointer = pointerOfIndex(objectEntry, 5n, table);
    expect(pointer).toBe(0xffff_8000_0000_00a0n);
    expect(indexOfPointer(objectEntry, pointer, table)).toBe(5n);
  });

  it('have a head that a tool can write for a machine that it does not know', () => {
    const coldfire: Target = {
      name: 'coldfire',
      endian: 'big',
      wordBits: 32,
      align64: 8,
      unnamedBitFieldsAlign: false,
    };
    const [here, there] = [processWith(RegistersRiscV), processWith(RegistersColdFire)];
    const image = truncateTail(here, codec(here).encode({ fault_code: 1, fault_info: 0x1000n }), x86_64);
    expect(image).toHaveLength(headSize(there, coldfire));
    const memory = loadHead(there, image, x86_64, coldfire);
    expect(codec(there, coldfire).decode(memory)).toMatchObject({
      fault_code: 1,
      fault_info: 0x1000n,
      registers: { pc: 0 },
    });
    // A capability holds a pointer in one of its arms, so the head is not the same where words are shorter.
    expect(headOf(here, [x86_64, s390x]).fields).toHaveLength(4);
  });
});
