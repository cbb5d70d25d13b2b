// Devices that JavaScript answers, under a real guest in both sandboxes: what is answered, and what attackers of the answer
// (or a server that is just broken) can do to a run.
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import {
  createControl,
  RemoteDevice,
  type DeviceOptions,
  type RemoteCallbacks,
  type RunReport,
} from '@instar/vmm-native';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEVICE, INPUT_BYTES, requireSandbox, SANDBOXES, Scene, type AttackOptions } from '../hostile-guest/scene.js';

const LENGTH = 4096;
const PATIENT = { noProgressMs: 20_000 };

let scene: Scene;
let bytes: Buffer;

beforeAll(() => {
  scene = new Scene();
  bytes = readFileSync(join(scene.directory, 'input'));
});

afterAll(() => {
  scene.close();
});

/** The honest guest, whose input is answered by `callbacks`. */
async function copyFrom(
  sandbox: 'kvm' | 'process',
  callbacks: RemoteCallbacks,
  options: AttackOptions = {},
): Promise<RunReport> {
  const device = new RemoteDevice(callbacks);
  const [, ...others] = scene.devices;
  const devices: DeviceOptions[] = [
    { fd: -1, access: 'input', size: BigInt(INPUT_BYTES), remote: device.number },
    ...others,
  ];
  const report = await scene.attack(sandbox, 'ring.honest', [BigInt(DEVICE.OUTPUT), BigInt(LENGTH)], {
    limits: PATIENT,
    ...options,
    devices,
  });
  // It is needed until here.
  expect(device.number).toBeGreaterThan(0);
  return report;
}

function written(): Buffer {
  return readFileSync(join(scene.directory, 'output')).subarray(0, 4 * LENGTH);
}

function piece(offset: bigint, length: number): Buffer {
  return bytes.subarray(Number(offset), Number(offset) + length);
}

describe.each(SANDBOXES)('a device that JavaScript answers, under %s', (sandbox) => {
  it('is read and copied as a file is', async (context) => {
    requireSandbox(context, sandbox);
    const asked: [bigint, number][] = [];
    const report = await copyFrom(sandbox, {
      read: async (offset, length) => {
        asked.push([offset, length]);
        return Promise.resolve(piece(offset, length));
      },
    });
    expect(report.message).toBe('the guest ended with code 0');
    expect(asked.length).toBeGreaterThan(1);
    const head = bytes.subarray(0, LENGTH);
    expect(written().equals(Buffer.concat([head, head, head, Buffer.alloc(LENGTH)]))).toBe(true);
    scene.expectFilesUntouched(true);
  });

  it.for([
    ['throws', () => Promise.reject(new Error('no')), 'EIO'],
    [
      'throws at once',
      () => {
        throw new Error('no');
      },
      'EIO',
    ],
    [
      'fails with an error of the system',
      () => Promise.reject(Object.assign(new Error('stale'), { errno: -constants.errno.ESTALE })),
      'ESTALE',
    ],
    [
      'answers with too little',
      async (offset: bigint, length: number) => Promise.resolve(piece(offset, length - 1)),
      'EIO',
    ],
    ['answers with too much', async (_: bigint, length: number) => Promise.resolve(Buffer.alloc(length + 1)), 'EIO'],
    ['answers with a gigabyte', async () => Promise.resolve(Buffer.alloc(1 << 30)), 'EIO'],
    ['answers with nothing', async () => Promise.resolve(undefined as unknown as Uint8Array), 'EIO'],
    ['answers with text', async () => Promise.resolve('text' as unknown as Uint8Array), 'EIO'],
  ] as const)('is an error of the read where it %s', async ([, read, errno], context) => {
    requireSandbox(context, sandbox);
    const report = await copyFrom(sandbox, { read });
    expect(report.outcome).toBe('exit');
    expect(report.exitCode).not.toBe(0);
    expect(report.failures).toContainEqual({
      device: DEVICE.INPUT,
      offset: 0n,
      errno: constants.errno[errno],
      write: false,
    });
    scene.expectFilesUntouched(true);
  });

  it('does not hold a run that is cancelled, and a late answer is dropped', async (context) => {
    requireSandbox(context, sandbox);
    const control = createControl();
    let late: (value: Uint8Array) => void = () => undefined;
    const report = await copyFrom(
      sandbox,
      {
        read: async () => {
          setTimeout(() => {
            control.cancel();
          }, 50);
          return new Promise((resolve) => (late = resolve));
        },
      },
      { control },
    );
    expect(report.outcome).toBe('cancelled');
    late(Buffer.alloc(LENGTH));
    scene.expectFilesUntouched(true);
    await scene.expectHealthy(sandbox);
  });

  it('does not hold a run beyond its wall-clock time', async (context) => {
    requireSandbox(context, sandbox);
    const start = performance.now();
    const read = async (): Promise<Uint8Array> => new Promise(() => undefined);
    const report = await copyFrom(sandbox, { read }, { limits: { ...PATIENT, wallClockMs: 300 } });
    expect(report).toMatchObject({ outcome: 'limit', message: 'took longer than 300 ms' });
    expect(performance.now() - start).toBeLessThan(5000);
    scene.expectFilesUntouched(true);
  });

  it('has a time limit of its own', async (context) => {
    requireSandbox(context, sandbox);
    const read = async (): Promise<Uint8Array> => new Promise(() => undefined);
    const report = await copyFrom(sandbox, { read, timeoutMs: 100 });
    expect(report.failures[0]).toMatchObject({ device: DEVICE.INPUT, errno: constants.errno.ETIMEDOUT });
  });
});

describe('options of a device', () => {
  it('refuse what no remote device can be, and numbers of none', async () => {
    const device = new RemoteDevice({});
    const attack = async (options: DeviceOptions): Promise<RunReport> =>
      scene.attack('process', 'ring.honest', [BigInt(DEVICE.OUTPUT), 1n], { devices: [options] });
    const remote = { fd: -1, size: 1n, remote: device.number };
    await expect(attack({ ...remote, access: 'output' })).rejects.toThrow('a remote device is an input or a stream');
    await expect(attack({ ...remote, access: 'edited' })).rejects.toThrow('a remote device is an input or a stream');
    await expect(attack({ ...remote, access: 'input', remote: 4_000_000_000 })).rejects.toThrow('no remote device');
  });
});

describe('a worker thread', () => {
  it('can be terminated while its device is asked and does not answer', async () => {
    const worker = new Worker(
      `const { parentPort } = require('node:worker_threads');
       const { createRequire } = require('node:module');
       const load = createRequire(${JSON.stringify(import.meta.url)});
       const { RemoteDevice, runGuest } = load('@instar/vmm-native');
       const { sandboxHelperPath, convertGuestPath } = load('@instar/convert-guest');
       const { ChainConfig, InfoConfig, NO_PARENT } = load('@instar/shared-abi');
       const device = new RemoteDevice({ read: () => { parentPort.postMessage('asked'); return new Promise(() => {}); } });
       void runGuest({
         image: require('node:fs').readFileSync(convertGuestPath()),
         chainConfig: ChainConfig.encode({ ...ChainConfig.zero(), device_count: 1, max_depth: 1,
           devices: [{ role: 0, format: 0, parent: NO_PARENT, flags: 0, file_size: 1048576n, virtual_size: 0n, start: 0n }] }),
         operationConfig: InfoConfig.encode({ device: 0, most_unpacked: 1n }),
         devices: [{ fd: -1, access: 'input', size: 1048576n, remote: device.number }],
         sandbox: 'process', helper: sandboxHelperPath(),
       }).then((report) => parentPort.postMessage(report.message), (error) => parentPort.postMessage(String(error)));`,
      { eval: true },
    );
    const message = await new Promise((resolve, reject) => {
      worker.once('message', resolve).once('error', reject);
    });
    expect(message).toBe('asked');
    const start = performance.now();
    await worker.terminate();
    expect(performance.now() - start).toBeLessThan(5000);
    await scene.expectHealthy('process');
  });
});
