import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Judge } from '../../../../tests/support/judge.js';
import type { Description } from '../../src/index.js';
import { pokeName } from '../../src/emit/index.js';

export const POKE: Judge = { program: 'poke', probe: ['--version'], package: 'poke' };

/** Runs a pickle beside a file `bytes`, or files `bytes0`, `bytes1`, …, and returns the lines that it prints. */
export function runPoke(pickle: string, bytes: Uint8Array | readonly Uint8Array[]): Promise<readonly string[]> {
  const directory = mkdtempSync(join(tmpdir(), 'instar-poke-'));
  const files =
    bytes instanceof Uint8Array ? [['bytes', bytes] as const] : bytes.map((file, at) => [`bytes${at}`, file] as const);
  for (const [name, file] of files) writeFileSync(join(directory, name), file);
  const opened = bytes instanceof Uint8Array ? 'var ios = open ("bytes");' : '';
  writeFileSync(join(directory, 'test.pk'), `${opened}\n${pickle}`);
  return new Promise((resolve, reject) => {
    const words = ['--quiet', '-L', 'test.pk'];
    const child = execFile('poke', words, { cwd: directory, maxBuffer: 2 ** 28 }, (error, stdout, stderr) => {
      rmSync(directory, { recursive: true, force: true });
      // Errors of the compiler come on standard output.
      if (error !== null || /error|exception/i.test(stdout + stderr)) {
        const place = /test\.pk:(\d+)/.exec(stdout)?.[1];
        const line = place === undefined ? '' : (`\n${pickle}`.split('\n')[Number(place) - 1] ?? '');
        reject(new Error(`poke: ${stdout.slice(-400)}${stderr.slice(0, 400)}\n${line}`));
      } else resolve(stdout.trimEnd().split('\n'));
    });
    child.stdin?.end();
  });
}

/** A statement of GNU poke that prints integers, one to a line, and the values that we have for them. */
export interface Printed {
  readonly statement: string;
  readonly values: readonly bigint[];
}

/** Statements that print every integer of a value. */
export function printed(type: Description, value: unknown, expression: string): Printed[] {
  switch (type.kind) {
    case 'integer': {
      const statement = `printf ("%u64d\\n", ${expression} as uint<64>);`;
      return [{ statement, values: [BigInt(value as number | bigint)] }];
    }
    case 'array': {
      const items = value as readonly unknown[];
      if (type.element.kind === 'integer') {
        const statement = `for (e in ${expression}) printf ("%u64d\\n", e as uint<64>);`;
        return [{ statement, values: items.map((item) => BigInt(item as number | bigint)) }];
      }
      return items.flatMap((item, index) => printed(type.element, item, `${expression}[${index}]`));
    }
    case 'struct':
    case 'integral': {
      const fields = value as Readonly<Record<string, unknown>>;
      return type.fields.flatMap((item) =>
        printed(item.type, fields[item.name], `${expression}.${pokeName(item.name)}`),
      );
    }
    default:
      throw new TypeError(type.kind);
  }
}
