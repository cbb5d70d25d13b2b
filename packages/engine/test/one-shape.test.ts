import { createRequire } from 'node:module';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { pathToFileURL } from 'node:url';
import {
  check,
  compare,
  convert,
  create,
  createSnapshot,
  dd,
  deleteSnapshot,
  EngineError,
  errorCodes,
  info,
  infoChain,
  infoOfEach,
  inspect,
  inspectEach,
  isInstarError,
  map,
  measureSize,
  openImage,
  type OperationDetail,
} from '@instar/engine';
import type * as EngineModule from '@instar/engine';
import { OperandError, parseSize } from '@instar/operands';
import { format, resolveConfig } from 'prettier';
import { describe, expect, it } from 'vitest';
import { noise } from '../../../tests/support/random.js';
import { workdir, type Workdir } from '../../../tests/support/workdir.js';
import { errorPage } from '../scripts/error-page.mjs';

const require = createRequire(import.meta.url);
const ROOT = join(import.meta.dirname, '../../..');
const LENGTH = 4096;

function disk(): Workdir {
  return workdir().write('disk #1.raw', noise(LENGTH)).write('other.raw', noise(LENGTH));
}

async function thrown(action: () => Promise<unknown>): Promise<unknown> {
  try {
    await action();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}

describe('calls are verb(subject, options)', () => {
  it('with a file: URL for a path', async () => {
    const directory = disk();
    const url = pathToFileURL(directory.file('disk #1.raw'));
    const image = await info(url);
    expect(image.virtualSize).toBe(BigInt(LENGTH));
    await dd({ input: { path: url }, output: { path: pathToFileURL(directory.file('out #2.raw')) } });
    expect(directory.read('out #2.raw').equals(directory.read('disk #1.raw'))).toBe(true);
    expect((await compare(url, directory.file('out #2.raw'))).identical).toBe(true);
  });

  it('describe one image, or all of its chain', async () => {
    const directory = disk();
    const [top, base] = [directory.file('top.qcow2'), directory.file('other.raw')];
    await create(top, undefined, { format: 'qcow2', backing: { file: 'other.raw', format: 'raw' } });
    const image = await info(top);
    expect(image).toMatchObject({ format: 'qcow2', backingFilename: 'other.raw' });
    const chain = await infoChain(top);
    expect(chain.map(({ filename, format: kind }) => [filename, kind])).toEqual([
      [top, 'qcow2'],
      [base, 'raw'],
    ]);
    const elsewhere = { references: 'refuse', allowedDirectories: [] } as const;
    expect(await thrown(async () => infoChain(top, { backingChain: elsewhere }))).toMatchObject({
      code: 'PATH_REFUSED',
    });
    // As before, for one more version.
    const [first, second] = await info(top, {
      backingChain: { references: 'within-directories', allowedDirectories: [] },
    });
    expect([first.format, second?.format]).toEqual(['qcow2', 'raw']);
    expect(Object.keys(image)).not.toContain('0');
    expect(JSON.parse(JSON.stringify(image))).toMatchObject({ format: 'qcow2', virtualSize: LENGTH });
  });

  it('tell which limit was reached, and whether it was one of time', async () => {
    const directory = disk();
    const [from, to] = [directory.file('other.raw'), directory.file('out.raw')];
    const slow = { writeRate: 1000, format: 'raw', outputFormat: 'raw' } as const;
    expect(await thrown(async () => convert(from, to, { ...slow, limits: { wallClockMs: 100 } }))).toMatchObject({
      code: 'GUEST_LIMIT',
      limit: 'wallClockMs',
      timedOut: true,
    });
    expect(await thrown(async () => convert(from, to, { ...slow, limits: { maxVirtualSize: 1000 } }))).toMatchObject({
      code: 'LIMIT_EXCEEDED',
      limit: 'maxVirtualSize',
      timedOut: false,
    });
    const error = await thrown(async () => info(directory.file('missing')));
    expect(error).toMatchObject({ timedOut: false });
    expect(error).toHaveProperty('limit', undefined);
  });

  it('refuse another URL in words', async () => {
    const error = await thrown(async () => info(new URL('https://example.org/disk.raw')));
    expect(error).toMatchObject({
      code: 'INVALID_OPTION',
      message: 'file: found a URL with https:, expected a path or a file: URL',
    });
  });

  it('refuse subjects of another type in words, also where they are many', async () => {
    const first = async (many: AsyncIterator<unknown>): Promise<unknown> => many.next();
    const wrong: readonly (readonly [said: string, call: () => Promise<unknown>])[] = [
      ['files: found undefined, expected a list of paths', async () => first(infoOfEach(undefined as never))],
      ['files: found "disk.raw", expected a list of paths', async () => first(inspectEach('disk.raw'))],
      ['size: found "x", expected an integer from 0', async () => measureSize('x' as never)],
      ['name: found 5, expected a name', async () => createSnapshot('disk.qcow2', 5 as never)],
      ['name: found undefined, expected a name', async () => deleteSnapshot('disk.qcow2', undefined as never)],
    ];
    for (const [said, call] of wrong) {
      const error = await thrown(call);
      expect(error).toMatchObject({ code: 'INVALID_OPTION' });
      expect((error as EngineError).message).toContain(said);
    }
  });

  it('take how an operation runs among the options, or behind them as before', async () => {
    const directory = disk();
    const file = directory.file('other.raw');
    for (const before of [true, false]) {
      const details: OperationDetail[] = [];
      const how = {
        sandbox: 'process',
        isolation: 'fresh',
        onDetail: (detail: OperationDetail) => details.push(detail),
      } as const;
      await (before ? info(file, { format: 'raw' }, how) : info(file, { format: 'raw', ...how }));
      expect(details).toContainEqual(expect.objectContaining({ kind: 'guest', sandbox: 'process' }));
    }
  });

  it('tell an option that is unknown', async () => {
    const wrong = { sandbox: 'process', nonsense: 1 } as { sandbox: 'process' };
    expect(await thrown(async () => check(disk().file('other.raw'), wrong))).toMatchObject({
      code: 'INVALID_OPTION',
      message: expect.stringContaining('nonsense') as string,
    });
  });
});

describe('results and errors travel as JSON', () => {
  it('results, with numbers where they are safe', async () => {
    const file = disk().file('other.raw');
    const parsed = JSON.parse(JSON.stringify(await inspect(file))) as {
      description: { virtualSize: unknown };
      verdict: { safe: boolean };
    };
    expect(parsed.description.virtualSize).toBe(LENGTH);
    expect(parsed.verdict.safe).toBe(true);
    for await (const extent of map(file))
      expect(JSON.parse(JSON.stringify(extent))).toMatchObject({ start: 0, length: LENGTH });
  });

  it('errors, with a reason that names no path', async () => {
    const file = workdir().write('bad.qcow2', Buffer.from('QFI\u00fb\0\0\0\u0009', 'latin1')).file('bad.qcow2');
    const error = await thrown(async () => info(file));
    if (!isInstarError(error)) throw new Error('no error of ours');
    const parsed = JSON.parse(JSON.stringify(error)) as Readonly<Record<string, string>>;
    expect(parsed).toMatchObject({ name: 'EngineError', code: error.code, file, message: error.message });
    expect(parsed['message']).toContain(file);
    expect(parsed['reason']).not.toContain('bad.qcow2');
    expect(parsed['message']).toBe(`${file}: ${parsed['reason'] ?? ''}`);
  });

  it('an aborted operation throws an AbortError', async () => {
    const error = await thrown(async () => info(disk().file('other.raw'), { signal: AbortSignal.abort() }));
    expect(error).toMatchObject({ name: 'AbortError', code: 'ABORTED' });
    expect(error).toBeInstanceOf(EngineError);
  });
});

describe('isInstarError', () => {
  it('knows errors of every package and of another copy of one', async () => {
    const other = require('@instar/engine') as typeof EngineModule;
    const error = await thrown(async () => other.info('/nowhere/at/all'));
    expect(error).not.toBeInstanceOf(EngineError);
    expect(isInstarError(error)).toBe(true);
    expect(isInstarError(await thrown(async () => Promise.resolve(parseSize('x'))))).toBe(true);
    expect(other.isInstarError(new OperandError('INVALID_SIZE', 'x'))).toBe(true);
    expect(other.isInstarError(new EngineError('NO_SPACE', 'x'))).toBe(true);
  });

  it.each([[undefined], [null], ['text'], [new Error('x')], [{ code: 'NO_SPACE' }]])('says no of %j', (value) => {
    expect(isInstarError(value)).toBe(false);
  });
});

describe('the page of errors', () => {
  const page = readFileSync(join(ROOT, 'docs/errors.md'), 'utf8');

  it('is what the table of codes says', async () => {
    const path = join(ROOT, 'docs/errors.md');
    const text = await format(errorPage(errorCodes()), { ...(await resolveConfig(path)), filepath: path });
    expect(page, 'npm run generate:errors -w @instar/engine').toBe(text);
  });

  it('has every code that the source throws', () => {
    const folder = join(ROOT, 'packages/engine/src');
    const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
      /(?<!\.test)\.ts$/.test(name),
    );
    const thrownCodes = names.flatMap((name) =>
      [...readFileSync(join(folder, name), 'utf8').matchAll(/(?:EngineError|fileError)\(\s*'([A-Z_]+)'/g)].map(
        ([, code]) => code ?? '',
      ),
    );
    expect(new Set(thrownCodes).size).toBeGreaterThan(15);
    for (const code of new Set(thrownCodes)) expect(page).toContain(`\`${code}\``);
  });
});

it('an open image is read as a stream of the Web', async () => {
  const directory = disk();
  await using image = await openImage(directory.file('other.raw'));
  const bytes = Buffer.from(await new Response(image.createWebStream({ start: 100 })).arrayBuffer());
  expect(bytes.equals(directory.read('other.raw').subarray(100))).toBe(true);
  expect(await buffer(image.createReadStream({ start: 0, end: 9 }))).toHaveLength(10);
});
