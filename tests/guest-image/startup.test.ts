import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { convertGuestPath, sandboxHelperPath } from '@instar/convert-guest';
import { array, codec, loadHead, struct, u32, u64, x86_64, type Target } from '@instar/layout';
import {
  FAULT,
  GuestImageHeader,
  GuestSegment,
  InfoConfig,
  InfoResult,
  ProcessRecord,
  processRecordWith,
  RegistersX86_64,
  RESULT_STATUS,
} from '@instar/shared-abi';
import { runGuest } from '@instar/vmm-native';
import { describe, expect, it } from 'vitest';
import { requireSandbox, SANDBOXES } from '../hostile-guest/scene.js';

const IMAGE = readFileSync(convertGuestPath());
const DIGEST = createHash('sha256').update(IMAGE).digest('hex');

const header = GuestImageHeader.decode(IMAGE);
const recordOffset = Number(header.process_record_offset);
const segments = codec(GuestSegment).decodeArray(IMAGE, Number(header.segments_offset), header.segment_count);

/** The guest's word on an empty list of devices: it runs, and refuses in its result struct. */
async function started(sandbox: 'kvm' | 'process', image: Uint8Array): Promise<number> {
  const report = await runGuest({
    image,
    chainConfig: new Uint8Array(),
    operationConfig: InfoConfig.encode({ device: 0 }),
    devices: [],
    sandbox,
    helper: sandboxHelperPath(),
    limits: {},
  });
  return InfoResult.decode(report.result).status;
}

describe('a guest image', () => {
  it('holds the head of a process record that says STARTUP, and no register', () => {
    const record = ProcessRecord.decode(IMAGE, recordOffset);
    expect(record.fault_code).toBe(FAULT.values.STARTUP);
    const text = segments.find(
      ({ address, memory_size }) => record.fault_info >= address && record.fault_info < address + memory_size,
    );
    expect(text?.address).toBeDefined();
    expect(header.process_record_size).toBe(BigInt(ProcessRecord.size));
    // Header, segments, record and the bytes of the segments are all that is in the file.
    const held = segments.reduce((sum, item) => sum + Number(item.file_size), 0);
    const rest = GuestImageHeader.size + segments.length * GuestSegment.size + ProcessRecord.size + held;
    expect(IMAGE.length).toBe(rest);
  });

  it.for(SANDBOXES)('starts through the startup fault under %s, the same file in both', async (sandbox, context) => {
    requireSandbox(context, sandbox);
    expect(await started(sandbox, IMAGE)).toBe(RESULT_STATUS.values.ERROR);
    expect(createHash('sha256').update(readFileSync(convertGuestPath())).digest('hex')).toBe(DIGEST);
  });

  it.for(SANDBOXES)('does not start under %s without it', async (sandbox, context) => {
    requireSandbox(context, sandbox);
    const running = Buffer.from(IMAGE);
    running.writeUInt32LE(FAULT.values.NONE, recordOffset + ProcessRecord.offsetOf('fault_code'));
    await expect(started(sandbox, running)).rejects.toMatchObject({
      code: 'BAD_GUEST_IMAGE',
      message: expect.stringMatching(/fault_code.*STARTUP/) as unknown,
    });
  });

  it('could be loaded for another target, with that target’s registers', () => {
    // 32 bits, big endian: nobody makes it, and nothing of it is in the file.
    const foreign: Target = { name: 'big32', endian: 'big', wordBits: 32, align64: 8, unnamedBitFieldsAlign: false };
    const Registers = struct('RegistersBig32', { general: array(u32, 15), psr: u64, pc: u32 });
    const record = processRecordWith(Registers);
    const memory = loadHead(record, IMAGE.subarray(recordOffset), x86_64, foreign);
    const entry = ProcessRecord.decode(IMAGE, recordOffset).fault_info;
    const view = new DataView(memory.buffer);
    expect(memory).toHaveLength(codec(record, foreign).size);
    expect(memory.length).not.toBe(ProcessRecord.size + RegistersX86_64.size);
    expect(view.getUint32(0)).toBe(FAULT.values.STARTUP);
    expect(view.getBigUint64(8)).toBe(entry);
    expect(memory.subarray(ProcessRecord.size).every((byte) => byte === 0)).toBe(true);
  });
});
