import { InfoResult } from '@instar/shared-abi';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeInfo } from './decode-info.js';

/** Result regions with a few bytes anywhere, and counts that may be anything. */
const regions = fc
  .record({
    bytes: fc.array(fc.tuple(fc.nat(InfoResult.size - 1), fc.integer({ min: 0, max: 255 })), { maxLength: 60 }),
    counts: fc.tuple(fc.nat(70), fc.nat(20), fc.nat(20)),
  })
  .map(({ bytes, counts }) => {
    const region = new Uint8Array(1 << 16);
    for (const [at, value] of bytes) region[at] = value;
    const view = new DataView(region.buffer);
    (['snapshot_count', 'bitmap_count', 'extent_file_count'] as const).forEach((name, index) => {
      view.setUint32(InfoResult.offsetOf(name), counts[index] ?? 0, true);
    });
    for (const name of ['pad', 'reserved'] as const)
      region.fill(0, InfoResult.offsetOf(name), InfoResult.offsetOf(name) + 4);
    region.fill(0, InfoResult.offsetOf('reserved'), InfoResult.offsetOf('reserved') + 8);
    return region;
  });

describe('decodeInfo', () => {
  it('says what the whole struct says, of lists as far as they are counted', () => {
    fc.assert(
      fc.property(regions, (region) => {
        let whole: ReturnType<typeof InfoResult.decode>;
        try {
          whole = InfoResult.decode(region);
        } catch {
          // Zeros that must be inside a record: of one that is not counted nobody asks.
          return;
        }
        expect(decodeInfo(region)).toEqual({
          ...whole,
          snapshots: whole.snapshots.slice(0, whole.snapshot_count),
          bitmaps: whole.bitmaps.slice(0, whole.bitmap_count),
          extent_files: whole.extent_files.slice(0, whole.extent_file_count),
        });
      }),
      { numRuns: 20 },
    );
  });

  it.each(['pad', 'reserved'] as const)('refuses a result whose %s is not zero', (name) => {
    const region = new Uint8Array(1 << 16);
    region[InfoResult.offsetOf(name)] = 1;
    expect(() => decodeInfo(region)).toThrow(new RegExp(`InfoResult\\.${name}.*found 1`));
    expect(() => decodeInfo(new Uint8Array(100))).toThrow();
  });
});
