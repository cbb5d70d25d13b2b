import { VmcoreError } from '../errors.js';
import type { KdumpHeader } from '../read/kdump-header.js';
import { CHUNK_PAGES, PageBitmap } from '../read/page-bitmap.js';
import { fillFrom, type ByteSource } from '../source/byte-source.js';
import { PAGE_DESCRIPTOR_SIZE } from '../structures/diskdump.js';
import { DescriptorTable } from './descriptor-table.js';
import type { Patch } from './patched-source.js';

/** Which bitmap counts for what a dump has: one of the two, or both together. */
type Truth = 'first' | 'second' | 'either';

/** Set bits of both bitmaps. */
interface Counts {
  readonly first: number;
  readonly second: number;
  readonly either: number;
  /** Pages that are set in the second alone: they are stored, and so they existed. */
  readonly secondAlone: number;
  /** First page behind all that are set. */
  readonly end: number;
}

const BITS_SET = Uint8Array.from({ length: 256 }, (_, byte) => byte.toString(2).replaceAll('0', '').length);

async function countBits(source: ByteSource, { bitmap1, bitmap2 }: KdumpHeader, pages: number): Promise<Counts> {
  const [one, two] = [new PageBitmap(source, bitmap1, pages), new PageBitmap(source, bitmap2, pages)];
  let [first, second, either, secondAlone, end] = [0, 0, 0, 0, 0];
  for (let index = 0; index * CHUNK_PAGES < pages; index += 1) {
    const [a, b] = [await one.chunk(index), await two.chunk(index)];
    for (let byte = 0; byte < a.length; byte += 1) {
      const [x = 0, y = 0] = [a[byte], b[byte]];
      if ((x | y) === 0) continue;
      first += BITS_SET[x] ?? 0;
      second += BITS_SET[y] ?? 0;
      either += BITS_SET[x | y] ?? 0;
      secondAlone += BITS_SET[y & ~x] ?? 0;
      end = index * CHUNK_PAGES + byte * 8 + 32 - Math.clz32(x | y);
    }
  }
  return { first, second, either, secondAlone, end };
}

/** First page behind all that either bitmap has. */
export async function lastPageOf(source: ByteSource, header: KdumpHeader, pages: number): Promise<number> {
  return (await countBits(source, header, pages)).end;
}

/** A bitmap in whose place another one is read, or both together. */
function bitmapPatch(source: ByteSource, place: bigint, length: bigint, others: readonly bigint[]): Patch {
  return {
    start: place,
    length,
    async apply(at, target) {
      target.fill(0);
      const bytes = new Uint8Array(target.length);
      for (const other of others) {
        await fillFrom(source, other + at, bytes, 'bitmap');
        for (let index = 0; index < target.length; index += 1)
          target[index] = (target[index] ?? 0) | (bytes[index] ?? 0);
      }
    },
  };
}

/**
 * Which bitmap is right: as many bits are set in it as there are page descriptors, which end where the data of the first
 * page begins.
 */
async function findTruth(source: ByteSource, header: KdumpHeader, counts: Counts): Promise<Truth> {
  const table = new DescriptorTable(source, header);
  const fits = async (count: number): Promise<boolean> =>
    count > 0 && (await table.dataStart(count)) === header.descriptors + BigInt(count * PAGE_DESCRIPTOR_SIZE);
  if (await fits(counts.second)) return 'second';
  if (await fits(counts.first)) return 'first';
  if (await fits(counts.either)) return 'either';
  // makedumpfile leaves room where it had expected more pages.
  if (counts.second > 0 && counts.secondAlone === 0 && (await table.isEmptyFrom(counts.second))) return 'second';
  throw new VmcoreError(
    'BAD_DUMP',
    'the bitmaps cannot be recomputed: neither has as many pages as there are descriptors',
    {
      file: source.name,
      field: 'bitmaps',
      offset: header.bitmap1,
      found: `${counts.first} pages in the first and ${counts.second} in the second`,
      expected: 'descriptors up to the first stored page, one for each page of a bitmap',
    },
  );
}

/**
 * Recomputes the bitmaps of a kdump, each from the other.
 * @returns patches, and what they mend in words
 * @throws VmcoreError `BAD_DUMP` when neither bitmap fits the page descriptors
 */
export async function mendBitmaps(
  source: ByteSource,
  header: KdumpHeader,
): Promise<{ readonly patches: readonly Patch[]; readonly mended: readonly string[] }> {
  const { bitmap1, bitmap2 } = header;
  const length = bitmap2 - bitmap1;
  const counts = await countBits(source, header, Number(header.maxMapnr));
  const truth = await findTruth(source, header, counts);
  const patches: Patch[] = [];
  const mended: string[] = [];
  if (truth !== 'second') {
    const others = truth === 'first' ? [bitmap1] : [bitmap1, bitmap2];
    patches.push(bitmapPatch(source, bitmap2, length, others));
    const now = truth === 'first' ? counts.first : counts.either;
    mended.push(`the bitmap of stored pages had ${counts.second} pages of ${now}: it is recomputed`);
  }
  // Where the second is a copy of the first, the first is right.
  if (truth !== 'first' && counts.secondAlone > 0) {
    patches.push(bitmapPatch(source, bitmap1, length, [bitmap1, bitmap2]));
    mended.push(`the bitmap of existing pages lacked ${counts.secondAlone} pages that are stored: it is recomputed`);
  }
  return { patches, mended };
}
