import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../support/command.js';

describe.each(['cli', 'host-files', 'operands', 'qemu-img', 'shared-abi'])('what npm packs of packages/%s', (name) => {
  const folder = join(ROOT, 'packages', name);
  it('has a page to read and the whole licence', () => {
    const listed = execFileSync('npm', ['pack', '--dry-run', '--ignore-scripts', '--json'], {
      cwd: folder,
      encoding: 'utf8',
    });
    const [packed] = JSON.parse(listed) as { files: { path: string; size: number }[] }[];
    const files = packed?.files.map((file) => file.path);
    expect(files).toEqual(expect.arrayContaining(['README.md', 'LICENSE']));
    expect(readFileSync(join(folder, 'LICENSE'))).toEqual(readFileSync(join(ROOT, 'LICENSE')));
    expect(existsSync(join(folder, 'README.md'))).toBe(true);
  });
});
