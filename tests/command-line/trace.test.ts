// INSTAR_TRACE: a line for each command of a guest, which agrees with what became of the files.
import { expect, it } from 'vitest';

import { instar } from '../support/command.js';
import { noise } from '../support/random.js';
import { workdir } from '../support/workdir.js';

const SIZE = 3 << 20;
const LINE = /^\d+\.\d{6} (?<name>[A-Z]+)(?<fields>(?: \w+=\w+)*) = (?<errno>\d+) <\d+\.\d{6}>$/;

interface Step {
  readonly name: string;
  readonly fields: Readonly<Record<string, number>>;
  readonly errno: number;
}

function stepsOf(text: string): readonly Step[] {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => {
      const { name = '', fields = '', errno = '' } = LINE.exec(line)?.groups ?? {};
      expect(name, line).not.toBe('');
      const pairs = [...fields.matchAll(/ (\w+)=(\w+)/g)].map(
        ([, key = '', value = '']) => [key, Number(value)] as const,
      );
      return { name, fields: Object.fromEntries(pairs), errno: Number(errno) };
    });
}

function bytesOf(steps: readonly Step[], name: string, device: number): number {
  return steps
    .filter((step) => step.name === name && step.fields['device'] === device)
    .reduce((sum, { fields }) => sum + (fields['length'] ?? 0), 0);
}

it.for(['kvm', 'process'])('each command is a line (%s)', (sandbox) => {
  const directory = workdir().write('disk.raw', noise(SIZE));
  const words = ['convert', '-f', 'raw', '--sandbox', sandbox, '-O', 'qcow2', 'disk.raw', 'out.qcow2'];
  instar(...words)
    .in(directory)
    .environment({ INSTAR_TRACE: 'trace' })
    .must();
  const steps = stepsOf(directory.read('trace').toString());
  // All of the disk is copied or written, and the file is as long as what was written last.
  expect(bytesOf(steps, 'COPY', 0) + bytesOf(steps, 'WRITE', 1)).toBeGreaterThanOrEqual(SIZE);
  const ends = steps
    .filter(({ name }) => name === 'WRITE' || name === 'COPY')
    .map(({ fields }) => (fields['target_offset'] ?? fields['offset'] ?? 0) + (fields['length'] ?? 0));
  expect(Math.max(...ends)).toBe(directory.read('out.qcow2').length);
  expect(steps.filter(({ name }) => name !== 'NEXT').every(({ errno }) => errno === 0)).toBe(true);
});

it('what failed has the number of its error, and the file grows from run to run', () => {
  const directory = workdir().write('disk.raw', noise(SIZE));
  const words = ['convert', '-f', 'raw', '-O', 'qcow2', 'disk.raw', 'out.qcow2'];
  const traced = instar(...words)
    .in(directory)
    .environment({ INSTAR_TRACE: 'trace' });
  traced.must();
  const before = directory.read('trace').length;
  const failed = traced.under('prlimit', `--fsize=${SIZE / 2}`).run();
  expect(failed.status).toBe(1);
  const steps = stepsOf(directory.read('trace').subarray(before).toString());
  const EFBIG = 27;
  expect(steps.some(({ name, errno }) => (name === 'WRITE' || name === 'COPY') && errno === EFBIG)).toBe(true);
});

it('a trace that cannot be written is told before anything is done', () => {
  const directory = workdir().write('disk.raw', noise(SIZE));
  const { status, stderr } = instar('convert', '-f', 'raw', 'disk.raw', 'out.raw')
    .in(directory)
    .environment({ INSTAR_TRACE: 'missing/trace' })
    .run();
  expect(status).toBe(1);
  expect(stderr).toMatch(/^instar: convert: .*the trace cannot be opened: No such file or directory/);
  expect(directory.names()).toEqual(['disk.raw']);
});
