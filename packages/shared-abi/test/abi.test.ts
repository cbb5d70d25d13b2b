import { createHash } from 'node:crypto';
import * as layout from '@instar/layout';
import * as emit from '@instar/layout/emit';
import * as extract from '@instar/layout/extract';
import * as kaitai from '@instar/layout/kaitai';
import * as versions from '@instar/layout/versions';
import { describe, expect, it } from 'vitest';
import * as oldExtract from '../src/extract.js';
import * as old from '../src/index.js';
import * as oldKaitai from '../src/kaitai.js';
import * as oldLanguage from '../src/layout.js';
import { canonicalText } from '@instar/layout/emit';
import {
  ConvertConfig,
  CONVERT_FLAG,
  Descriptor,
  FINGERPRINT,
  MEMORY_MAP,
  MEMORY_SIZE,
  OPERATION_CONFIG_ADDR,
  OPERATION_CONFIG_MAX_SIZE,
  ChainConfig,
  CHAIN_MAX_DEVICES,
  InfoResult,
  RING_COMPLETIONS_OFFSET,
  RING_ENTRIES,
  RING_SUBMISSIONS_OFFSET,
  RingHeader,
  SANDBOX_FAULT_OFFSET,
  Completion,
  SandboxFault,
  describeAbi,
  region,
} from '../src/index.js';

// The published table of ConvertConfig: pinned here on purpose, so that a change of the description is seen.
const PUBLISHED: readonly (readonly [string, number])[] = [
  ['magic', 0],
  ['flags', 4],
  ['input_device_count', 8],
  ['target_format', 12],
  ['output_cluster_bits', 16],
  ['passphrase_len', 20],
  ['pad0', 24],
  ['passphrase', 28],
  ['snapshot_id_len', 284],
  ['pad1', 288],
  ['snapshot_id', 292],
  ['pad2', 356],
  ['argon2_mem_size', 360],
  ['luks_encrypt_iterations', 368],
  ['luks_encrypt_key_bytes', 372],
  ['luks_random_data_addr', 376],
  ['luks_random_data_size', 384],
  ['output_grain_size', 392],
  ['output_block_size', 396],
  ['window_start', 400],
  ['window_end', 408],
];

describe('ABI 1', () => {
  it('keeps every published offset of ConvertConfig', () => {
    expect(ConvertConfig.layout.map((item) => [item.name, item.offset])).toEqual(PUBLISHED);
    expect(ConvertConfig.size).toBe(416);
    expect(CONVERT_FLAG.values.DD_WINDOW).toBe(32);
    expect(CONVERT_FLAG.values.VERBOSE).toBe(0x80000000);
  });

  it('writes the window where the table says, little endian', () => {
    const page = ConvertConfig.encode({ flags: 32, window_start: 0x0102030405060708n, window_end: 512n });
    expect([...page.subarray(0, 4)]).toEqual([0x56, 0x4e, 0x4f, 0x43]);
    expect([...page.subarray(400, 416)]).toEqual([8, 7, 6, 5, 4, 3, 2, 1, 0, 2, 0, 0, 0, 0, 0, 0]);
  });

  it('reads a config of before the window fields as one without a window', () => {
    const old = ConvertConfig.encode({ flags: 0, target_format: 1 }).subarray(0, 400);
    const page = new Uint8Array(OPERATION_CONFIG_MAX_SIZE);
    page.set(old);
    const config = ConvertConfig.decode(page);
    expect(config.window_start).toBe(0n);
    expect(config.window_end).toBe(0n);
  });

  it('has a memory map whose regions follow each other without overlap, with the fixed config page', () => {
    let end = 0;
    for (const item of MEMORY_MAP) {
      expect(item.start, item.name).toBeGreaterThanOrEqual(end);
      expect(item.start % 4096, item.name).toBe(0);
      expect(item.size % 4096, item.name).toBe(0);
      end = item.start + item.size;
    }
    const kept = MEMORY_MAP.filter((item) => item.start < MEMORY_SIZE);
    expect(kept.at(-1)?.name).toBe('windows');
    expect(MEMORY_MAP.slice(kept.length).map((item) => item.name)).toEqual(['windows_guard', 'keys']);
    expect(OPERATION_CONFIG_ADDR).toBe(0x81000);
    expect(OPERATION_CONFIG_MAX_SIZE).toBe(4096);
  });

  it('has a guard on both sides of every region that a guest can write', () => {
    MEMORY_MAP.forEach((item, index) => {
      if (item.protection !== 'rw') return;
      for (const neighbour of [MEMORY_MAP[index - 1], MEMORY_MAP[index + 1]]) {
        if (neighbour === undefined) continue;
        const touches = neighbour.start + neighbour.size === item.start || item.start + item.size === neighbour.start;
        expect(neighbour.protection === 'none' || !touches, `${neighbour.name} beside ${item.name}`).toBe(true);
      }
    });
  });

  it('fits every struct into its region', () => {
    const ring = region('ring').size;
    expect(RingHeader.size).toBeLessThanOrEqual(RING_SUBMISSIONS_OFFSET);
    expect(RING_SUBMISSIONS_OFFSET + RING_ENTRIES * Descriptor.size).toBeLessThanOrEqual(RING_COMPLETIONS_OFFSET);
    expect(RING_COMPLETIONS_OFFSET + RING_ENTRIES * Completion.size).toBeLessThanOrEqual(SANDBOX_FAULT_OFFSET);
    expect(SANDBOX_FAULT_OFFSET + SandboxFault.size).toBeLessThanOrEqual(ring);
    expect(InfoResult.size).toBeLessThanOrEqual(region('result').size);
    expect(ChainConfig.size).toBeLessThanOrEqual(region('chain_config').size);
  });

  it('has the fingerprint of its canonical text', () => {
    const digest = createHash('sha256').update(canonicalText(describeAbi())).digest();
    expect(Buffer.from(FINGERPRINT).equals(digest), 'run `npm run generate`').toBe(true);
  });

  it('round-trips a chain and refuses what does not fit', () => {
    const devices = [{ role: 1, format: 2, parent: 0xffffffff, flags: 0, file_size: 7n, virtual_size: 9n, start: 0n }];
    const bytes = ChainConfig.encode({ device_count: 1, devices });
    const read = ChainConfig.decode(bytes);
    expect(read.devices[0]).toEqual(devices[0]);
    expect(read.devices).toHaveLength(CHAIN_MAX_DEVICES);
    expect(() => ChainConfig.decode(bytes.subarray(0, 2000))).toThrow(/needs 2976 bytes, 2000 are there/);
    bytes[0] = 0;
    expect(() => ChainConfig.decode(bytes)).toThrow(/ChainConfig\.magic at byte 0/);
  });
});

describe('the config page of a conversion', () => {
  it('is written and viewed in place', () => {
    const page = ConvertConfig.encode({ flags: CONVERT_FLAG.values.DD_WINDOW, window_end: 513n });
    expect(ConvertConfig.view(page).window_end).toBe(513n);
    expect(page).toHaveLength(416);
  });
});

describe('the old names of @instar/layout', () => {
  it('are still there, and are the same things', () => {
    expect(old.codec).toBe(layout.codec);
    expect(old.rustEmitter).toBe(emit.rustEmitter);
    expect(old.parseInterface).toBe(versions.parseInterface);
    expect({ ...oldLanguage }).toEqual({ ...layout });
    expect({ ...oldExtract }).toEqual({ ...extract });
    expect({ ...oldKaitai }).toEqual({ ...kaitai });
  });
});
