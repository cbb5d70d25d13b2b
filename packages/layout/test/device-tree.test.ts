import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { requireJudge, type Judge } from '../../../tests/support/judge.js';
import {
  alignedTo,
  arrayUntil,
  bytesOf,
  codec,
  s390x,
  sized,
  struct,
  array,
  textUntil,
  u32,
  u64,
  variant,
} from '../src/index.js';

const QEMU: Judge = { program: 'qemu-system-aarch64', probe: ['--version'], package: 'qemu-system-arm' };

// Devicetree Specification 0.4, chapter 5; big endian.
const Reserved = struct('Reserved', { address: u64, size: u64 });
const Property = struct('Property', { length: u32, name: u32, value: bytesOf('length'), padding: alignedTo(4) });
const Token = struct('Token', {
  token: u32,
  body: variant('body', 'token', {
    begin: [1, struct('Begin', { name: textUntil(), padding: alignedTo(4) })],
    property: [3, Property],
    other: ['otherwise', struct('Other', {})],
  }),
});
const Tree = struct('Tree', {
  magic: { type: u32, value: 0xd00d_feed },
  total: u32,
  structure_at: u32,
  strings_at: u32,
  reserved_at: u32,
  version: u32,
  compatible: u32,
  boot_cpu: u32,
  strings_size: u32,
  structure_size: u32,
  gap: alignedTo(16),
  reserved: arrayUntil(Reserved, ({ address, size }) => address === 0n && size === 0n),
  structure: sized('structure_size', array(Token)),
  strings: sized('strings_size', array(textUntil())),
  rest: bytesOf(),
});

const directory = mkdtempSync(join(tmpdir(), 'instar-dtb-'));
afterAll(() => {
  rmSync(directory, { recursive: true });
});

it("QEMU's device tree comes back byte for byte, with what lies in its padding, and has the machine in it", (context) => {
  requireJudge(context, QEMU);
  const file = join(directory, 'virt.dtb');
  spawnSync(QEMU.program, ['-M', `virt,dumpdtb=${file}`, '-smp', '3', '-m', '192', '-display', 'none']);
  const bytes = readFileSync(file);
  const { decode, encode } = codec(Tree, s390x);
  const value = decode(bytes);
  expect(value.total).toBe(bytes.length);
  // Blocks lie one behind the other there, so that no places have to be followed.
  expect([value.reserved_at, value.strings_at]).toEqual([48, value.structure_at + value.structure_size]);
  // libfdt leaves in its padding what was there before.
  expect(Buffer.from(encode(value)).equals(bytes)).toBe(true);
  const paddings = value.structure.flatMap(({ body }) => (body.arm === 'other' ? [] : [body.value.padding]));
  expect(paddings.some((padding?: Uint8Array) => padding !== undefined)).toBe(true);

  const names = value.structure.flatMap(({ body }) => (body.arm === 'begin' ? [body.value.name] : []));
  expect(names.filter((name) => name.startsWith('cpu@'))).toEqual(['cpu@0', 'cpu@1', 'cpu@2']);
  const memoryAt = value.structure.findIndex(
    ({ body }) => body.arm === 'begin' && body.value.name.startsWith('memory@'),
  );
  const properties = value.structure.slice(memoryAt + 1, memoryAt + 3).map(({ body }) => body);
  const registers = properties.find((body) => body.arm === 'property' && body.value.length === 16);
  const memory = registers?.arm === 'property' ? Buffer.from(registers.value.value) : Buffer.alloc(16);
  expect(memory.readBigUInt64BE(8)).toBe(192n << 20n);
});
