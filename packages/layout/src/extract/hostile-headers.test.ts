import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { x86_64 } from '../layout/target.js';
import { readAssembly } from './assembly.js';
import { readUnit } from './dwarf.js';
import { extract } from './extract.js';

it.each(['.zero 9000000000', '.skip 70000000', '.zero -1', '.space 18446744073709551615'])(
  '%s in a section with bytes is refused, not allocated',
  (directive) => {
    const text = `.section .mine,"a",@progbits\n${directive}\n`;
    expect(() => readAssembly(text, x86_64)).toThrow(/the header makes data of more than 67108864 bytes/);
  },
);

it('many sections together may not have more either', () => {
  const text = Array.from({ length: 3 }, (_, index) => `.section .s${index}\n.zero 30000000\n`).join('');
  expect(() => readAssembly(text, x86_64)).toThrow(/more than 67108864/);
});

it('memory that no file holds costs nothing, and reads as zeros', () => {
  const assembly = readAssembly('.bss\nbig:\n.zero 4000000000\nlast:\n.zero 8\n', x86_64);
  expect(assembly.section('.bss').labels.get('last')).toBe(4_000_000_000);
}, 1000);

it('a name with an escape in the debug information is refused', () => {
  const name = (text: string): string => `.section .debug_abbrev\n.uleb128 1,0x24\n.byte 0\n.uleb128 3,8,0,0\n.byte 0
.section .debug_info\n.long 12\n.value 4\n.long 0\n.byte 8\n.uleb128 1\n.string "${text}"\n`;
  expect(() => readUnit(readAssembly(name('int'), x86_64))).not.toThrow(/control characters/);
  for (const hostile of ['\\033[m', '\\302\\233m', '\\342\\200\\256x']) {
    expect(() => readUnit(readAssembly(name(hostile), x86_64))).toThrow(/a name has control characters/);
  }
});

it('a header whose name is an option or a file of arguments is a name all the same', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'instar-headers-'));
  try {
    const out = join(directory, 'written');
    writeFileSync(join(directory, 'arguments'), `-o ${out}`);
    const request = { compiler: 'gcc', target: 'm64', types: ['int'] } as const;
    for (const header of [`@${join(directory, 'arguments')}`, '-', '-v']) {
      await expect(extract({ ...request, header })).rejects.toMatchObject({
        message: expect.stringContaining(`./${header}`) as string,
      });
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
});
