import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest';
import { requireJudge, type Judge } from '../../../../tests/support/judge.js';
import { resolve, x86_64 } from '../index.js';
import { extractRust, ExtractError, type ExtractRustOptions } from './index.js';

const RUSTC: Judge = { program: 'rustc', probe: ['--version'], package: 'rustc' };

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'instar-extract-rust-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

function withRustc(body: () => Promise<void>): (context: TestContext) => Promise<void> {
  return async (context) => {
    requireJudge(context, RUSTC);
    await body();
  };
}

async function codeOf(options: ExtractRustOptions): Promise<string> {
  const error: unknown = await extractRust(options).catch((reason: unknown) => reason);
  return error instanceof ExtractError ? `${error.code} ${error.message}` : 'no error';
}

const SOURCE = `
#![no_std]
#![forbid(unsafe_code)]
#[repr(C)] pub struct Foo { a: u8, pub b: u64, c: [In; 3], d: Kind, r#type: usize, e: Option<u32>, t: (u8, u16) }
#[repr(C, packed)] #[derive(Clone, Copy)] pub struct In { x: u8, y: u32 }
#[repr(u16)] #[derive(Clone, Copy)] pub enum Kind { A = 1, B = 500 }
pub struct Moved { a: u8, b: u64, c: u16 }
pub mod wire { #[repr(C, align(16))] pub struct Head(pub u16, pub super::In); impl Drop for Head { fn drop(&mut self) {} } }
`;

describe('extractRust', () => {
  it(
    'finds private, packed, nested, moved and tuple fields, and enumerations',
    withRustc(async () => {
      const { types } = await extractRust({
        source: SOURCE,
        types: ['Foo', 'In', 'Kind', 'Moved', 'wire::Head'],
        target: 'x86_64-unknown-linux-gnu',
      });
      const places = types.map((type) => [
        type.name,
        type.size,
        type.align,
        type.fields?.map((item) => [item.name, item.bitOffset / 8, item.bitWidth / 8]),
      ]);
      expect(places.filter(([name]) => name !== 'Moved')).toEqual([
        [
          'Foo',
          64,
          8,
          [
            ['a', 0, 1],
            ['b', 8, 8],
            ['c', 16, 15],
            ['d', 32, 2],
            ['type', 40, 8],
            ['e', 48, 8],
            ['t', 56, 4],
          ],
        ],
        [
          'In',
          5,
          1,
          [
            ['x', 0, 1],
            ['y', 1, 4],
          ],
        ],
        ['Kind', 2, 2, undefined],
        [
          'wire::Head',
          16,
          16,
          [
            ['__0', 0, 2],
            ['__1', 2, 5],
          ],
        ],
      ]);
      expect(types[2]?.values).toEqual([
        { name: 'A', value: 1 },
        { name: 'B', value: 500 },
      ]);
      // rustc may place these as it likes; the layout says the same as it does.
      const moved = types[3];
      if (moved?.layout.kind !== 'struct') throw new Error('a struct');
      expect(resolve(moved.layout, x86_64).fields.map((item) => [item.name, item.bit])).toEqual(
        moved.fields?.map((item) => [item.name, item.bitOffset]),
      );
    }),
  );

  it(
    'refuses, with a code, and leaves no file behind',
    withRustc(async () => {
      const temporary = join(folder, 'tmp');
      mkdirSync(temporary);
      const before = process.env['TMPDIR'];
      process.env['TMPDIR'] = temporary;
      try {
        expect(await codeOf({ source: SOURCE, types: ['Nothing'] })).toMatch(/^EXTRACT_UNKNOWN_TYPE .*`Nothing`/);
        expect(await codeOf({ source: 'struct Foo { x: Other }', types: ['Foo'] })).toMatch(/^EXTRACT_COMPILER_FAILED/);
        expect(await codeOf({ source: SOURCE, types: ['Foo; fn x'] })).toMatch(/^EXTRACT_REQUEST/);
        expect(await codeOf({ types: ['Foo'] })).toMatch(/^EXTRACT_REQUEST found neither/);
        expect(await codeOf({ file: join(folder, 'none.rs'), types: ['Foo'] })).toMatch(
          /^EXTRACT_REQUEST .*cannot be read/,
        );
        expect(await codeOf({ source: '', types: ['Foo'], compiler: 'no-rustc' })).toMatch(/^EXTRACT_COMPILER_MISSING/);
        const signal = AbortSignal.abort();
        expect(await codeOf({ source: SOURCE, types: ['Foo'], signal })).toMatch(/^EXTRACT_ABORTED/);
      } finally {
        if (before === undefined) delete process.env['TMPDIR'];
        else process.env['TMPDIR'] = before;
      }
      expect(readdirSync(temporary)).toEqual([]);
    }),
  );

  it(
    'finds modules beside the file',
    withRustc(async () => {
      writeFileSync(join(folder, 'inner.rs'), '#[repr(C)] pub struct Pair { pub a: u8, pub b: u32 }\n');
      const file = join(folder, 'outer.rs');
      writeFileSync(file, 'pub mod inner;\n#[repr(C)] pub struct Two { pub first: inner::Pair, pub last: u8 }\n');
      const [two] = (await extractRust({ file, types: ['Two'] })).types;
      expect(two).toMatchObject({ size: 12, fields: [{ fields: [{ bitOffset: 0 }, { bitOffset: 32 }] }, {}] });
    }),
  );
});
