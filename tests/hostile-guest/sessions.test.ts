// Sessions: a guest that is asked more than once, and what one in an attacker's hands may make of it.
import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { OPCODE, region } from '@instar/shared-abi';
import { createControl } from '@instar/vmm-native';
import { afterAll, describe, expect, it } from 'vitest';
import { submissions } from './outcomes/ring.js';
import {
  configPage,
  DEVICE,
  INPUT_BYTES,
  NO_PROGRESS_MS,
  OUTPUT_LIMIT,
  requireSandbox,
  SANDBOXES,
  Scene,
} from './scene.js';

const { ECANCELED } = constants.errno;
const scene = new Scene();

afterAll(() => {
  scene.close();
});

/** A config page that says nothing but a number, which `ring.answer_and_go_on` gives back. */
function question(number: number): Buffer {
  return configPage(number, []);
}

describe.each(SANDBOXES)('a session under %s', (sandbox) => {
  it('answers one request after the other, each with its own config, and ends when none comes', async (context) => {
    requireSandbox(context, sandbox);
    const control = createControl();
    const end = scene.attack(sandbox, 'ring.answer_and_go_on', [], { session: true, control });
    await control.answer();
    for (const number of [11, 12, 13]) {
      control.request({ chainConfig: new Uint8Array(), operationConfig: question(number), devices: [], last: false });
      const { result, failures } = await control.answer();
      expect(result.readUInt32LE(4)).toBe(number);
      expect(failures).toEqual([]);
    }
    control.close();
    expect((await end).message).toBe(`the guest ended with code ${ECANCELED}`);
    await expect(control.answer()).rejects.toThrow(/NOT_RUNNING/);
  });

  it('leaves nothing of a longer config behind a shorter one', async (context) => {
    requireSandbox(context, sandbox);
    const control = createControl();
    const end = scene.attack(sandbox, 'ring.answer_and_go_on', [7n, 8n, 9n], { session: true, control });
    await control.answer();
    control.request({
      chainConfig: new Uint8Array(),
      operationConfig: question(1).subarray(0, 8),
      devices: [],
      last: false,
    });
    expect((await control.answer()).result.subarray(8, 64).every((byte) => byte === 0)).toBe(true);
    control.close();
    await end;
  });

  it('does not count the time in which nobody asks', async (context) => {
    requireSandbox(context, sandbox);
    const control = createControl();
    const limits = { wallClockMs: 2 * NO_PROGRESS_MS };
    const end = scene.attack(sandbox, 'ring.answer_and_go_on', [], { session: true, control, limits });
    await control.answer();
    await sleep(4 * NO_PROGRESS_MS);
    control.request({ chainConfig: new Uint8Array(), operationConfig: question(5), devices: [], last: false });
    expect((await control.answer()).result.readUInt32LE(4)).toBe(5);
    control.close();
    expect((await end).outcome).toBe('exit');
  });

  it('is cancelled while nobody asks', async (context) => {
    requireSandbox(context, sandbox);
    const control = createControl();
    const end = scene.attack(sandbox, 'ring.answer_and_go_on', [], { session: true, control });
    await control.answer();
    control.cancel();
    expect((await end).outcome).toBe('cancelled');
  });

  it('gives a guest no file before it comes with a request, and then only as what it is', async (context) => {
    requireSandbox(context, sandbox);
    const [input, small, output] = scene.devices;
    if (input === undefined || small === undefined || output === undefined) throw new RangeError('three devices');
    const reading = {
      opcode: OPCODE.values.READ,
      device: DEVICE.INPUT,
      length: 512n,
      window: BigInt(region('windows').start),
    };
    const early = await scene.attack(sandbox, 'ring.descriptors', submissions(reading), { devices: [] });
    expect(early.message).toMatch(/device is 0x0, expected a device of the table/);
    const control = createControl();
    const end = scene.attack(sandbox, 'ring.answer_and_go_on', [], { session: true, control, devices: [input] });
    await control.answer();
    const stream = { ...output, access: 'stream-output' as const, size: BigInt(INPUT_BYTES) };
    control.request({ chainConfig: new Uint8Array(), operationConfig: question(1), devices: [stream], last: false });
    // Several threads would not keep the order of a stream.
    expect(await end).toMatchObject({ outcome: 'host-error' });
    scene.expectFilesUntouched(false);
  });

  it('ends a guest that asks for two requests at once', async (context) => {
    requireSandbox(context, sandbox);
    const control = createControl();
    const end = scene.attack(sandbox, 'ring.answer_twice', [], { session: true, control });
    expect(await end).toMatchObject({ outcome: 'bad-descriptor' });
    expect((await end).message).toMatch(/a command was sent after NEXT, expected none before the next request$/);
  });

  it.for([1, 2])('ends a guest that writes after its answer (%i threads)', async (ioThreads, context) => {
    requireSandbox(context, sandbox);
    const write = {
      opcode: OPCODE.values.WRITE,
      target_device: DEVICE.OUTPUT,
      length: 512n,
      window: BigInt(region('windows').start),
    };
    const control = createControl();
    const args = submissions({ opcode: OPCODE.values.NEXT }, write);
    const end = scene.attack(sandbox, 'ring.at_once', args, { session: true, control, ioThreads });
    // Another thread may end it before the answer is handed over.
    await control.answer().catch(() => undefined);
    // One thread looks at the ring when the next request has come.
    control.request({ chainConfig: new Uint8Array(), operationConfig: question(1), devices: [], last: false });
    expect(await end).toMatchObject({ outcome: 'bad-descriptor' });
    expect((await end).message).toMatch(/a command was sent after NEXT, expected none before the next request$/);
    scene.expectFilesUntouched(false);
  });

  it('ends a guest that answers before its commands are done', async (context) => {
    requireSandbox(context, sandbox);
    const copy = {
      opcode: OPCODE.values.COPY,
      device: DEVICE.INPUT,
      target_device: DEVICE.OUTPUT,
      length: BigInt(OUTPUT_LIMIT),
    };
    // How far the first threads are when the last command is taken is chance: none may come through with a failure untold.
    const args = submissions(copy, copy, copy, { opcode: OPCODE.values.NEXT });
    for (let round = 0; round < 5; round += 1) {
      const control = createControl();
      const end = scene.attack(sandbox, 'ring.at_once', args, { session: true, control });
      await control.answer().catch(() => undefined);
      control.close();
      const { outcome, message } = await end;
      if (outcome === 'exit') continue;
      expect(message).toMatch(/NEXT was sent before other commands were done, expected none in flight$/);
    }
    scene.expectFilesUntouched(true);
  });

  it('ends a guest that goes on working after its answer', async (context) => {
    requireSandbox(context, sandbox);
    const control = createControl();
    const end = scene.attack(sandbox, 'ring.answer_without_rest', [], { session: true, control });
    await control.answer();
    expect(await end).toMatchObject({ outcome: 'violation' });
    expect((await end).message).toMatch(/works for more than 2000 ms after its answer$/);
  });
});
