import {
  closeSync,
  constants,
  fstatSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  CURRENT_DIRECTORY,
  fileSystemStatus,
  linkAt,
  listAttributes,
  openAt,
  readDirectory,
  readLinkAt,
  renameAt,
  statAt,
  unlinkAt,
} from '../src/index.js';

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_RDONLY, O_WRONLY } = constants;
/** A name that is no UTF-8. */
const LATIN1 = Buffer.from([0x6f, 0xfe]);

let place: string;
let directory: number;

beforeEach(() => {
  place = mkdtempSync(path.join(tmpdir(), 'instar-files-'));
  directory = openAt(CURRENT_DIRECTORY, Buffer.from(place), O_RDONLY | O_DIRECTORY);
});

afterEach(() => {
  closeSync(directory);
  rmSync(place, { recursive: true });
});

function code(action: () => unknown): unknown {
  try {
    action();
    return undefined;
  } catch (error) {
    return error instanceof Error && 'code' in error ? error.code : error;
  }
}

describe('system calls on names of a directory', () => {
  it('take names byte for byte', () => {
    closeSync(openAt(directory, LATIN1, O_WRONLY | O_CREAT | O_EXCL, 0o600));
    expect(readDirectory(directory).map((name) => name.toString('hex'))).toEqual(['6ffe']);
    renameAt(directory, LATIN1, Buffer.from('plain'), true);
    expect(readDirectory(directory).map(String)).toEqual(['plain']);
    unlinkAt(directory, Buffer.from('plain'));
    expect(readDirectory(directory)).toEqual([]);
  });

  it('tell of a file what node tells', () => {
    writeFileSync(path.join(place, 'file'), 'five!');
    const fd = openAt(directory, Buffer.from('file'), O_RDONLY);
    try {
      const known = fstatSync(fd, { bigint: true });
      for (const found of [statAt(directory, Buffer.from('file')), statAt(fd, Buffer.alloc(0))]) {
        expect([found.dev, found.ino, BigInt(found.mode), found.size, found.allocated]).toEqual([
          known.dev,
          known.ino,
          known.mode,
          5n,
          known.blocks * 512n,
        ]);
        expect(found.mountRoot ?? false).toBe(false);
      }
      expect(listAttributes(fd).filter(({ name }) => String(name).startsWith('user.'))).toEqual([]);
      expect(fileSystemStatus(fd).size).toBeGreaterThan(0n);
    } finally {
      closeSync(fd);
    }
  });

  it('follow a link only when they are told to', () => {
    symlinkSync('file', path.join(place, 'link'));
    writeFileSync(path.join(place, 'file'), '');
    expect(String(readLinkAt(directory, Buffer.from('link')))).toBe('file');
    expect(statAt(directory, Buffer.from('link')).ino).not.toBe(statAt(directory, Buffer.from('file')).ino);
    expect(statAt(directory, Buffer.from('link'), true).ino).toBe(statAt(directory, Buffer.from('file')).ino);
    expect(code(() => openAt(directory, Buffer.from('link'), O_RDONLY | O_NOFOLLOW))).toBe('ELOOP');
  });

  it('take no name that is in use unless they are told to replace it', () => {
    writeFileSync(path.join(place, 'new'), 'new');
    writeFileSync(path.join(place, 'old'), 'old');
    const [from, to] = [Buffer.from('new'), Buffer.from('old')];
    expect(
      code(() => {
        renameAt(directory, from, to, false);
      }),
    ).toBe('EEXIST');
    expect(
      code(() => {
        linkAt(directory, from, to);
      }),
    ).toBe('EEXIST');
    expect(readFileSync(path.join(place, 'old'), 'utf8')).toBe('old');
    renameAt(directory, from, to, true);
    expect(readFileSync(path.join(place, 'old'), 'utf8')).toBe('new');
  });

  it('fail with the name of a system error', () => {
    expect(code(() => openAt(directory, Buffer.from('missing'), O_RDONLY))).toBe('ENOENT');
    expect(code(() => statAt(9999, Buffer.from('x')))).toBe('EBADF');
    expect(code(() => openAt(directory, Buffer.from('a\0b'), O_RDONLY))).toBe('EINVAL');
  });
});
