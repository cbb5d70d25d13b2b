import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest';
import { requireJudge, type Judge } from '../../../../tests/support/judge.js';
import { resolve, x86_64 } from '../index.js';
import { extract, ExtractError, type ExtractErrorCode, type ExtractOptions } from './index.js';

const GCC: Judge = { program: 'gcc', probe: ['--version'], package: 'gcc' };
const CLANG: Judge = { program: 'clang', probe: ['--version'], package: 'clang' };

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'instar-extract-test-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

let headers = 0;
function header(text: string): string {
  headers += 1;
  const path = join(folder, `header-${headers}.h`);
  writeFileSync(path, text);
  return path;
}

function ask(text: string, types: readonly string[], more: Partial<ExtractOptions> = {}) {
  return extract({ compiler: 'gcc', target: 'm64', header: header(text), types, ...more });
}

async function codeOf(promise: Promise<unknown>): Promise<{ code: ExtractErrorCode; message: string }> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof ExtractError)) throw new Error(`expected an ExtractError, found ${String(error)}`);
  return { code: error.code, message: error.message };
}

function withGcc(body: () => Promise<void>): (context: TestContext) => Promise<void> {
  return async (context) => {
    requireJudge(context, GCC);
    await body();
  };
}

describe('extract', () => {
  it(
    'finds nested, anonymous, array, bit and flexible members, and JSON can hold what it found',
    withGcc(async () => {
      const { types } = await ask(
        `enum color { RED = -1, BLUE = 7, ALSO_BLUE = 7 };
         struct regs { unsigned char dst : 4, src : 4; };
         struct big {
           char name[6]; unsigned : 3; enum color tint : 5; struct regs regs[2][3];
           union { int word; unsigned char raw[4]; }; struct big *next; long double wide; int tail[];
         };`,
        ['struct big', 'enum color'],
      );
      const [big, color] = types;
      expect(JSON.parse(JSON.stringify(big))).toMatchObject({ size: 48, align: 16, kind: 'struct' });
      expect(big?.fields?.map((item) => [item.name, item.bitOffset, item.bitWidth, item.kind, item.counts])).toEqual([
        ['name', 0, 48, 'integer', [6]],
        ['tint', 51, 5, 'enum', undefined],
        ['regs', 56, 48, 'struct', [2, 3]],
        [null, 128, 32, 'union', undefined],
        ['next', 192, 64, 'pointer', undefined],
        ['wide', 256, 128, 'opaque', undefined],
        ['tail', 384, 0, 'integer', [0]],
      ]);
      expect(big?.fields?.[2]?.fields?.map((item) => [item.name, item.bitOffset])).toEqual([
        ['dst', 0],
        ['src', 4],
      ]);
      expect(color).toMatchObject({ signed: true, values: [{ value: -1 }, { value: 7 }, { value: 7 }] });
      if (big?.layout.kind !== 'struct') throw new Error('a struct');
      expect(resolve(big.layout, x86_64)).toMatchObject({ bits: 48 * 8, align: 16 });
    }),
  );

  it(
    'says words, fixed widths and plain char apart, whatever they stand for on this target',
    withGcc(async () => {
      const text =
        '#include <stdint.h>\n#include <stddef.h>\nstruct w { uint64_t a; long b; size_t c; void *d; char e[3]; };';
      const [found] = (await ask(text, ['struct w'])).types;
      if (found?.layout.kind !== 'struct') throw new Error('a struct');
      expect(found.layout.fields.map((item) => item.type.kind)).toEqual(['integer', 'word', 'word', 'word', 'text']);
    }),
  );

  it(
    'keeps names that are keywords elsewhere',
    withGcc(async () => {
      const [found] = (await ask('struct type { int type; int match; int Type; };', ['struct type'])).types;
      expect(found?.fields?.map((item) => item.name)).toEqual(['type', 'match', 'Type']);
      if (found?.layout.kind !== 'struct') throw new Error('a struct');
      expect([found.layout.name, ...found.layout.fields.map((item) => item.name)]).toEqual([
        'type',
        'type',
        'match',
        'Type',
      ]);
    }),
  );

  it(
    'passes include folders and macros on, and finds headers of the system',
    withGcc(async () => {
      writeFileSync(join(folder, 'width.h'), 'typedef int width_t[N];\n');
      const [found] = (
        await ask('#include <width.h>\nstruct s { width_t x; };', ['struct s'], {
          includeDirs: [folder],
          defines: { N: 5, QUIET: true },
        })
      ).types;
      expect(found?.size).toBe(20);
      const elf = await extract({ compiler: 'gcc', target: 'm64', header: 'elf.h', types: ['Elf64_Rela'] });
      expect(elf.types[0]?.fields?.map((item) => [item.name, item.bitOffset / 8])).toEqual([
        ['r_offset', 0],
        ['r_info', 8],
        ['r_addend', 16],
      ]);
    }),
  );

  it(
    'reads const fields, whose bits cannot be assigned',
    withGcc(async () => {
      const [found] = (await ask('struct c { const int a : 3; const unsigned b : 4; };', ['struct c'])).types;
      expect(found?.fields?.map((item) => [item.bitOffset, item.signed])).toEqual([
        [0, true],
        [3, false],
      ]);
    }),
  );

  it('reads bit fields as wide as their type, which clang does not call bit fields', async (context) => {
    requireJudge(context, CLANG);
    const text = 'struct f { char a : 3; int b : 32; union { unsigned c : 32; short d; }; } __attribute__((packed));';
    const [found] = (await ask(text, ['struct f'], { compiler: 'clang' })).types;
    expect(found?.size).toBe(9);
    expect(found?.fields?.[1]).toMatchObject({ name: 'b', bitField: true, bitOffset: 3, bitWidth: 32 });
    expect(found?.fields?.[2]?.fields?.[0]).toMatchObject({ name: 'c', bitField: true, bitWidth: 32 });
  });
});

describe('extract refuses, with a code', () => {
  it('a compiler that is not there', async () => {
    const { code, message } = await codeOf(ask('struct s { int x; };', ['struct s'], { compiler: 'no-such-gcc' }));
    expect(code).toBe('EXTRACT_COMPILER_MISSING');
    expect(message).toBe('no-such-gcc is not installed; install it or name another compiler');
  });

  it(
    'a type that is unknown, or never completed',
    withGcc(async () => {
      const unknown = await codeOf(ask('struct s { int x; };', ['struct s', 'nothing_t']));
      expect(unknown).toMatchObject({ code: 'EXTRACT_UNKNOWN_TYPE' });
      expect(unknown.message).toMatch(/^nothing_t is unknown or has no size \(gcc: .*unknown type name/);
      expect(await codeOf(ask('struct s;', ['struct s']))).toMatchObject({ code: 'EXTRACT_UNKNOWN_TYPE' });
    }),
  );

  it(
    'a header that does not compile, with the first line that says why',
    withGcc(async () => {
      const broken = await codeOf(ask('struct s {\n  unknown_t x;\n};\n', ['struct s']));
      expect(broken.code).toBe('EXTRACT_COMPILER_FAILED');
      expect(broken.message).toMatch(/^gcc: .*header-\d+\.h:\d+:\d+: error: /);
      expect(await codeOf(ask('#include "not-there.h"', ['int']))).toMatchObject({ code: 'EXTRACT_COMPILER_FAILED' });
    }),
  );

  it('names that are no types, no types, and targets that nobody knows', async () => {
    expect(await codeOf(ask('', ['int; int system(void)']))).toMatchObject({ code: 'EXTRACT_REQUEST' });
    expect(await codeOf(ask('', []))).toMatchObject({ code: 'EXTRACT_REQUEST' });
    const other = JSON.parse('{ "target": "pdp11" }') as Pick<ExtractOptions, 'target'>;
    expect((await codeOf(ask('', ['int'], other))).message).toMatch(/found the target pdp11, expected one of m64, m32/);
  });

  it(
    'a compiler that lays out for another target',
    withGcc(async () => {
      const wrong = { ...x86_64, align64: 4 as const };
      const { code, message } = await codeOf(ask('struct s { int x; };', ['struct s'], { target: wrong }));
      expect(code).toBe('EXTRACT_TARGET');
      expect(message).toMatch(/^alignment of long long: found 8, expected 4 for x86_64/);
    }),
  );

  it(
    'an answer of which the debug information and the initialised data tell different stories',
    withGcc(async () => {
      // A compiler whose runs with debug information lay out otherwise than its other runs.
      const liar = (flag: string): string => {
        const path = join(folder, `liar${flag}`);
        const script = `#!/bin/sh\ncase "$*" in *-gdwarf*) exec gcc ${flag} "$@";; *) exec gcc "$@";; esac\n`;
        writeFileSync(path, script, { mode: 0o755 });
        return path;
      };
      const packed = await codeOf(
        ask('struct s { char a; int b; };', ['struct s'], { compiler: liar('-fpack-struct') }),
      );
      expect(packed).toEqual({
        code: 'EXTRACT_CONTRADICTION',
        message: 'sizeof(struct s): the debug information says 5, the initialised data 8',
      });
      const text = 'struct s { char a : 3; int b : 5; int c; };';
      const moved = await codeOf(ask(text, ['struct s'], { compiler: liar('-mms-bitfields') }));
      expect(moved.code).toBe('EXTRACT_CONTRADICTION');
      const only = 'struct s { char a : 3; short b : 5; } __attribute__((aligned(8)));';
      expect((await codeOf(ask(only, ['struct s'], { compiler: liar('-mms-bitfields') }))).message).toBe(
        'struct s.b: the debug information says bits 16 to 20, the initialised data bits 3 to 7',
      );
      const sign = await codeOf(ask('struct s { char a : 3; };', ['struct s'], { compiler: liar('-funsigned-char') }));
      expect(sign.message).toBe('whether struct s.a is signed: the debug information says 0, the initialised data 1');
    }),
  );

  it('what its caller aborts, before and while the compiler runs', async () => {
    const aborted = AbortSignal.abort(new Error('enough'));
    expect(await codeOf(ask('', ['int'], { signal: aborted }))).toMatchObject({ code: 'EXTRACT_ABORTED' });
    const slow = join(folder, 'slow-cc');
    writeFileSync(slow, '#!/bin/sh\ntouch "$0.started"\nexec sleep 60\n', { mode: 0o755 });
    const controller = new AbortController();
    const running = codeOf(ask('', ['int'], { compiler: slow, signal: controller.signal }));
    while (!existsSync(`${slow}.started`)) await new Promise((wake) => setTimeout(wake, 5));
    controller.abort();
    expect(await running).toMatchObject({ code: 'EXTRACT_ABORTED' });
  });

  it(
    'nothing of it leaves files behind',
    withGcc(async () => {
      const temporary = mkdtempSync(join(folder, 'tmp-'));
      const before = process.env['TMPDIR'];
      process.env['TMPDIR'] = temporary;
      try {
        await ask('struct s { int x : 3; };', ['struct s']);
        await codeOf(ask('broken', ['struct s']));
      } finally {
        if (before === undefined) delete process.env['TMPDIR'];
        else process.env['TMPDIR'] = before;
      }
      expect(readdirSync(temporary)).toEqual([]);
    }),
  );
});
