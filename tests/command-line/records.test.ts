// The records of --json: each has the version of its form, and is what the published schema says.
import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect, it } from 'vitest';

import { instar, ROOT } from '../support/command.js';
import { lines, noise } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';

const SCHEMA: unknown = JSON.parse(readFileSync(`${ROOT}/packages/cli/schema/records.json`, 'utf8'));

const validate = new Ajv2020({ strict: true, allowUnionTypes: true, allErrors: true }).compile(SCHEMA as object);

function problems(text: string): readonly string[] {
  const record: unknown = JSON.parse(text);
  return validate(record)
    ? []
    : (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message ?? ''}`);
}

function images(): Workdir {
  const directory = workdir();
  directory.write('disk.raw', noise(1 << 20));
  directory.write('lines.raw', lines(1 << 20));
  const make = (...words: readonly string[]): void => {
    instar(...words)
      .in(directory)
      .must();
  };
  make('convert', '-f', 'raw', '-O', 'qcow2', 'disk.raw', 'disk.qcow2');
  make('convert', '-c', '-f', 'raw', '-O', 'qcow2', 'lines.raw', 'packed.qcow2');
  make('create', '-f', 'qcow2', '-b', 'disk.qcow2', '-F', 'qcow2', 'top.qcow2');
  make('dd', 'if=disk.raw', 'of=other.raw', 'count=100', '-f', 'raw');
  // A compressed cluster that does not decode.
  const bytes = directory.read('packed.qcow2');
  const l2 = Number(bytes.readBigUInt64BE(Number(bytes.readBigUInt64BE(40))) & 0x00ff_ffff_ffff_fe00n);
  const stream = Number(bytes.readBigUInt64BE(l2 + 8 * 3) & ((1n << 54n) - 1n));
  bytes.fill(0xff, stream + 100, stream + 200);
  directory.write('packed.qcow2', bytes);
  return directory;
}

/** Words of a command, and which fields its record must have beside the version. */
const LINES: readonly (readonly [line: string, fields: readonly string[]])[] = [
  ['dd if=disk.qcow2 of=out.raw --json', ['result']],
  ['convert --json disk.qcow2 out.raw', ['result']],
  ['convert --json --checksum sha256,md5 -O qcow2 disk.qcow2 out.qcow2', ['result']],
  ['compare --json disk.qcow2 -F raw disk.raw', ['result']],
  ['compare --json -f raw -F raw disk.raw other.raw', ['result']],
  ['compare --json -s -f raw -F raw disk.raw other.raw', ['result']],
  ['create --json -f qcow2 new.qcow2 1G', ['result']],
  ['create --json -f vmdk new.vmdk 1G', ['result']],
  ['resize --json disk.qcow2 2M', ['result']],
  ['amend --json -o lazy_refcounts=on disk.qcow2', ['result']],
  ['bitmap --json --add disk.qcow2 b0', ['result']],
  ['snapshot --json -c first disk.qcow2', ['result']],
  ['rebase --json -u -b disk.raw -F raw top.qcow2', ['result']],
  ['commit --json top.qcow2', ['result']],
  ['bench --json -c 3 disk.qcow2', ['result']],
  ['doctor --json', ['platform', 'chosen']],
  ['abi show ConvertConfig --json', ['version', 'types']],
  ['abi decode ChainDevice disk.raw --json', ['type', 'value']],
  ['info --json missing', ['error']],
  ['info --json -f qcow2 disk.raw', ['error']],
  ['convert --json packed.qcow2 out.raw', ['error']],
  ['convert --json disk.qcow2', ['error']],
  ['dd if=disk.qcow2 count=x --json', ['error']],
  ['dd if=disk.qcow2 of=out.raw --sped=3 --json', ['error']],
  ['resize --json disk.qcow2 1k', ['error']],
  ['vmcore info --json disk.raw', ['error']],
];

it.for(LINES)('instar %s', ([line, fields]) => {
  const { stdout, stderr } = instar(...line.split(' '))
    .in(images())
    .run();
  expect(problems(stdout), stdout + stderr).toEqual([]);
  const record = JSON.parse(stdout) as Readonly<Record<string, unknown>>;
  expect(Object.keys(record)[0]).toBe('schemaVersion');
  expect(Object.keys(record)).toEqual(expect.arrayContaining([...fields]));
});

it('what a salvage left out', () => {
  const { stdout } = instar('convert', '--json', '--salvage', 'packed.qcow2', 'out.raw').in(images()).must();
  expect(problems(stdout), stdout).toEqual([]);
  expect(JSON.parse(stdout)).toMatchObject({
    result: { lost: { count: 1, bytes: 65536, ranges: [{ length: 65536 }] } },
  });
});

it('records of progress', () => {
  const words = ['convert', '--json', '-p', '-f', 'raw', '-r', '1M', 'disk.raw', 'out.raw'];
  const { stderr } = instar(...words)
    .in(images())
    .must();
  const lines = stderr.trimEnd().split('\n');
  expect(lines.length).toBeGreaterThan(0);
  for (const line of lines) expect(problems(line), line).toEqual([]);
});

it('what has the shape of qemu-img has the version where this project adds to it', () => {
  const directory = images();
  const { stdout } = instar('info', '--json', 'disk.qcow2').in(directory).must();
  expect(JSON.parse(stdout)).toMatchObject({ format: 'qcow2', instar: { schemaVersion: 1 } });
  const judged = instar('info', '--json', '--require-safe', 'top.qcow2').in(directory).run();
  expect(judged.status).toBe(3);
  expect(JSON.parse(judged.stdout)).toMatchObject({ instar: { schemaVersion: 1, safety: { safe: false } } });
});

it.for([
  ['no version', '{"result":{"filename":"a","format":"raw","virtualSize":1}}'],
  ['another version', '{"schemaVersion":2,"result":{"filename":"a","format":"raw","virtualSize":1}}'],
  ['a field too many', '{"schemaVersion":1,"result":{"filename":"a","format":"raw","virtualSize":1,"speed":1}}'],
  ['a field too few', '{"schemaVersion":1,"error":{"command":"dd","code":"NO_SPACE"}}'],
  ['a negative length', '{"schemaVersion":1,"progress":{"done":-1,"total":1}}'],
  ['two outcomes', '{"schemaVersion":1,"progress":{"done":1,"total":1},"id":"x"}'],
])('the schema refuses a record with %s', ([, text]) => {
  expect(problems(text ?? '')).not.toEqual([]);
});
