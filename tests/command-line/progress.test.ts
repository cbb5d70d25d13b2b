// How far a command is, told to people and to programs.
import { describe, expect, it } from 'vitest';

import { instar } from '../support/command.js';
import { noise } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';

const SIZE = 6 << 20;

/** A disk that takes some seconds at the pace of the tests. */
function withDisk(): Workdir {
  return workdir().write('disk.raw', noise(SIZE));
}

interface Record {
  readonly progress: {
    readonly done: number;
    readonly total: number;
    readonly bytesPerSecond: number;
    readonly secondsLeft?: number;
  };
}

function recordsOf(text: string): readonly Record['progress'][] {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => (JSON.parse(line) as Record).progress);
}

describe('progress', () => {
  it('comes as lines where nobody sees a terminal', () => {
    const { stderr } = instar('convert', '-p', '-f', 'raw', '-r', '2M', 'disk.raw', 'out.raw').in(withDisk()).must();
    const lines = stderr.trimEnd().split('\n');
    expect(lines.length).toBeGreaterThan(0);
    for (const line of lines)
      expect(line).toMatch(/^\d+\.\d %, \S+ \w+ of 6 MiB, [\d.]+ [KM]?i?B\/s(?:, \d+ s left)?$/);
  });

  it.for([
    ['convert', '--json', '-p', '-f', 'raw', '-r', '2M', 'disk.raw', 'out.raw'],
    ['convert', '--json', '-p', '-r', '2M', '-O', 'qcow2', '-f', 'raw', 'disk.raw', 'out.qcow2'],
  ])('comes as records beside JSON: %j', (words) => {
    const { stdout, stderr } = instar(...words)
      .in(withDisk())
      .must();
    expect(JSON.parse(stdout)).toHaveProperty('result.bytes', SIZE);
    const records = recordsOf(stderr);
    expect(records.length).toBeGreaterThan(1);
    for (const { done, total, bytesPerSecond } of records) {
      expect(total).toBe(SIZE);
      expect(done).toBeLessThanOrEqual(SIZE);
      // What is queued counts as done.
      expect(bytesPerSecond).toBeGreaterThanOrEqual(0);
    }
    const dones = records.map(({ done }) => done);
    expect(dones).toEqual([...dones].sort((a, b) => a - b));
  });

  it('is not told with -q, nor where nobody asks', () => {
    const directory = withDisk();
    for (const options of [['-q', '-p'], []]) {
      const { stderr } = instar('convert', ...options, '-f', 'raw', '-r', '4M', 'disk.raw', 'out.raw')
        .in(directory)
        .must();
      expect(stderr).toBe('');
    }
  });
});
