import { execFileSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const MIB = 1024 * 1024;
const TEBIBYTE_IN_MIB = 1024 * 1024;

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

/** Makes the images of the benchmark with qemu-img, and reads them once so that they are in the page cache. */
export function prepareImages({ size, directory }) {
  const own = directory === undefined;
  const base = own ? mkdtempSync(join(tmpdir(), 'instar-bench-')) : directory;
  mkdirSync(base, { recursive: true });
  const file = (name) => join(base, name);
  const convert = (name, ...options) =>
    execFileSync('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', ...options, file('disk.raw'), file(name)]);
  console.log(`images of ${size / MIB} MiB in ${base}`);
  writeDisk(file('disk.raw'), size);
  convert('disk.qcow2');
  convert('zlib.qcow2', '-c', '-m', '4', '-W');
  convert('zstd.qcow2', '-c', '-m', '4', '-W', '-o', 'compression_type=zstd');
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', file('huge.qcow2'), '1T']);
  const farWindows = [
    ['start', 0],
    ['middle', TEBIBYTE_IN_MIB / 2],
    ['end', TEBIBYTE_IN_MIB - 1024],
  ];
  const writes = farWindows.flatMap(([, at]) => ['-c', `write -P 85 ${at}M 512M`]);
  execFileSync('qemu-io', ['-f', 'qcow2', ...writes, file('huge.qcow2')], { stdio: 'ignore' });
  return { base, own, file, farWindows };
}

/** Removes what `prepareImages` made. */
export function removeImages({ base, own, file }) {
  if (own) rmSync(base, { recursive: true });
  else for (const name of ['disk.raw', 'disk.qcow2', 'zlib.qcow2', 'zstd.qcow2', 'huge.qcow2']) rmSync(file(name));
}
