import { qemuImg } from '../support/qemu-img.js';
import type { Workdir } from '../support/workdir.js';

/** Bits of a table entry that hold an offset (qcow2.txt, "L2 table entry"). */
const OFFSET = 0x00ff_ffff_ffff_fe00n;
const BITMAPS_EXTENSION = 0x2385_2875;

interface MapEntry {
  readonly length: number;
  readonly offset?: number;
}

/** Offsets in an image that qemu-img made at which a structure or a run of data begins or ends (bytes). */
export function edges(directory: Workdir, file: string): number[] {
  const image = directory.read(file);
  const word = (at: number): number => Number(image.readBigUInt64BE(at));
  const cluster = 2 ** image.readUInt32BE(20);
  const found = new Set<number>([4, 72, 104, 112]);
  const range = (start: number, length: number): void => {
    found.add(start);
    found.add(start + length);
  };
  const table = (start: number, bytes: number): number[] => {
    range(start, bytes);
    const targets: number[] = [];
    for (let at = start; at < start + bytes && at + 8 <= image.length; at += 8) {
      const target = Number(image.readBigUInt64BE(at) & OFFSET);
      if (target > 0) targets.push(target);
    }
    return targets;
  };
  for (const second of table(word(40), image.readUInt32BE(36) * 8)) range(second, cluster);
  for (const block of table(word(48), image.readUInt32BE(56) * cluster)) range(block, cluster);
  if (image.readUInt32BE(60) > 0) range(word(64), 40);
  const version = image.readUInt32BE(4);
  for (let at = version === 2 ? 72 : image.readUInt32BE(100); at + 8 <= cluster && image.readUInt32BE(at) !== 0;) {
    const length = image.readUInt32BE(at + 4);
    if (image.readUInt32BE(at) === BITMAPS_EXTENSION) range(word(at + 8 + 16), word(at + 8 + 8));
    at += 8 + Math.ceil(length / 8) * 8;
  }
  const { stdout } = qemuImg('map', '-f', 'qcow2', '--output=json', file).in(directory).must();
  for (const { length, offset } of JSON.parse(stdout) as MapEntry[]) if (offset !== undefined) range(offset, length);
  return [...found].filter((edge) => edge > 0 && edge <= image.length).sort((a, b) => a - b);
}
