import { execFileSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, truncateSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const MIB = 1024 * 1024;
const TEBIBYTE_IN_MIB = 1024 * 1024;
/** A disk that is nearly all hole. */
const SPARSE_SIZE = 100 * 1024 * MIB;
const SPARSE_DATA = 200 * MIB;

/** Half of it cannot be compressed, half is text-like: alternating MiB, as disks have it. */
function writeDisk(path, size) {
  const noise = Buffer.alloc(MIB);
  const text = Buffer.alloc(MIB);
  const fd = openSync(path, 'w');
  for (let at = 0; at < size; at += MIB) {
    const odd = (at / MIB) % 2 === 1;
    if (odd) {
      for (let line = 0; line < MIB; line += 64) {
        text.write(
          `${at + line} the quick brown fox ${(at * 7919 + line * 104729) % 1000003} jumps\n`.padEnd(64),
          line,
          'latin1',
        );
      }
      writeSync(fd, text);
    } else {
      randomFillSync(noise);
      writeSync(fd, noise);
    }
  }
  closeSync(fd);
}

/** How qemu-img makes an image out of disk.raw: the options of convert. */
const CONVERTED = {
  'disk.qcow2': ['-O', 'qcow2'],
  'zlib.qcow2': ['-O', 'qcow2', '-c', '-m', '4', '-W'],
  'zstd.qcow2': ['-O', 'qcow2', '-c', '-m', '4', '-W', '-o', 'compression_type=zstd'],
  'disk.vmdk': ['-O', 'vmdk'],
  'disk.vhdx': ['-O', 'vhdx'],
  'disk.vdi': ['-O', 'vdi'],
  'disk.vhd': ['-O', 'vpc', '-o', 'force_size=on'],
};

/** 1 TiB with 512 MiB of data in each of these places (MiB). */
const FAR_WINDOWS = [
  ['start', 0],
  ['middle', TEBIBYTE_IN_MIB / 2],
  ['end', TEBIBYTE_IN_MIB - 1024],
];

/**
 * A directory for the images of the benchmark. `image(name)` makes one when it is first asked for, and gives its path; it
 * has been written just now, so that it is in the page cache.
 */
export function prepareImages({ size, directory }) {
  const own = directory === undefined;
  const base = own ? mkdtempSync(join(tmpdir(), 'instar-bench-')) : directory;
  mkdirSync(base, { recursive: true });
  const file = (name) => join(base, name);
  const made = new Set();

  function make(name) {
    if (name === 'disk.raw') writeDisk(file(name), size);
    else if (name === 'sparse.raw') {
      writeDisk(file(name), SPARSE_DATA);
      truncateSync(file(name), SPARSE_SIZE);
    } else if (name === 'huge.qcow2') {
      execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', file(name), '1T']);
      const writes = FAR_WINDOWS.flatMap(([, at]) => ['-c', `write -P 85 ${at}M 512M`]);
      execFileSync('qemu-io', ['-f', 'qcow2', ...writes, file(name)], { stdio: 'ignore' });
    } else execFileSync('qemu-img', ['convert', '-f', 'raw', ...CONVERTED[name], image('disk.raw'), file(name)]);
  }

  function image(name) {
    if (!made.has(name)) {
      made.add(name);
      make(name);
    }
    return file(name);
  }

  console.log(`images of ${size / MIB} MiB in ${base}`);
  const remove = () => {
    if (own) rmSync(base, { recursive: true });
    else for (const name of made) rmSync(file(name), { force: true });
  };
  return { base, file, image, remove, farWindows: FAR_WINDOWS };
}
