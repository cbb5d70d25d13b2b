// Each bound of a run, cancellation, and images that are no guests: a run always ends, soon, with its reason.
import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, readFileSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  ABI_VERSION_MAJOR,
  ABI_VERSION_MINOR,
  COMMAND_MAX_LENGTH,
  GuestImageHeader,
  LOG_MAX_LENGTH,
  OPCODE,
} from '@instar/shared-abi';
import { createControl, type LimitOptions, type RunReport } from '@instar/vmm-native';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { submissions } from './outcomes/ring.js';
import { ATTACK_IMAGE, DEVICE, requireSandbox, SANDBOXES, Scene } from './scene.js';

const PATIENT: LimitOptions = { noProgressMs: 20_000 };
const OUTPUT = BigInt(DEVICE.OUTPUT);
const MIB = 1n << 20n;
/** How late a limit or a cancellation may take effect on a busy machine (ms). */
const LATE_MS = 2000;

let scene: Scene;

beforeAll(() => {
  scene = new Scene();
});

afterAll(() => {
  scene.close();
});

async function timed(run: () => Promise<RunReport>): Promise<{ readonly report: RunReport; readonly ms: number }> {
  const start = performance.now();
  const report = await run();
  return { report, ms: performance.now() - start };
}

describe.each(SANDBOXES)('a run under %s', (sandbox) => {
  it('ends after the wall-clock time, however busy its guest looks', async (context) => {
    requireSandbox(context, sandbox);
    const limits = { ...PATIENT, wallClockMs: 200 };
    const { report, ms } = await timed(() => scene.attack(sandbox, 'ring.progress_flood', [], { limits }));
    expect(report).toMatchObject({ outcome: 'limit', message: 'took longer than 200 ms' });
    expect(report.statistics.commands).toBeGreaterThan(100n);
    expect(ms).toBeGreaterThanOrEqual(200);
    expect(ms).toBeLessThan(200 + LATE_MS);
    await scene.expectHealthy(sandbox);
  });

  it('ends after the CPU time', async (context) => {
    requireSandbox(context, sandbox);
    const limits = { ...PATIENT, cpuMs: 150 };
    const { report, ms } = await timed(() => scene.attack(sandbox, 'limits.spin', [], { limits }));
    expect(report).toMatchObject({ outcome: 'limit', message: 'used more than 150 ms of CPU time' });
    expect(ms).toBeGreaterThanOrEqual(150);
    expect(ms).toBeLessThan(150 + 2 * LATE_MS);
  });

  it.for([
    ['ring.progress_flood', []],
    ['ring.log_flood', [2n ** 62n, 1n]],
    // A page is what a read costs at least: the input is read four times, some metadata on top, then never again.
    ['ring.read_forever', [1n]],
  ] as const)('does not take the busyness of %s for progress', async ([attack, args], context) => {
    requireSandbox(context, sandbox);
    const limits = { noProgressMs: 500 };
    const { report, ms } = await timed(() => scene.attack(sandbox, attack, args, { limits }));
    expect(report).toMatchObject({ outcome: 'limit', message: 'no progress for 500 ms' });
    expect(report.statistics.commands).toBeGreaterThan(100n);
    expect(ms).toBeLessThan(15_000);
  });

  it('does not count time that the guest waits as CPU time', async (context) => {
    requireSandbox(context, sandbox);
    const limits = { noProgressMs: 600, cpuMs: 400 };
    const { report } = await timed(() => scene.attack(sandbox, 'limits.wait_forever', [], { limits }));
    expect(report).toMatchObject({ outcome: 'limit', message: 'no progress for 600 ms' });
  });

  it('never writes more than the output limit, however it is split', async (context) => {
    requireSandbox(context, sandbox);
    const limits = { ...PATIENT, outputBytes: 100_000n };
    const report = await scene.attack(sandbox, 'ring.copy_forever', [OUTPUT, 30_000n], { limits });
    expect(report).toMatchObject({ outcome: 'limit', message: 'the output limit of 100000 bytes was passed' });
    expect(report.statistics.bytesCopied).toBeLessThanOrEqual(100_000n);
    scene.expectFilesUntouched(true);
  });

  it('does not begin a single command that would pass the output limit', async (context) => {
    requireSandbox(context, sandbox);
    const path = join(scene.directory, 'output');
    const before = readFileSync(path);
    const limits = { ...PATIENT, outputBytes: 1000n };
    for (const opcode of [OPCODE.values.ZERO, OPCODE.values.COPY]) {
      const command = submissions({ opcode, target_device: DEVICE.OUTPUT, length: 4096n });
      const report = await scene.attack(sandbox, 'ring.descriptors', command, { limits });
      expect(report).toMatchObject({ outcome: 'limit', message: 'the output limit of 1000 bytes was passed' });
      expect(readFileSync(path).equals(before), 'the output is as it was').toBe(true);
    }
  });

  it('may write exactly the output limit', async (context) => {
    requireSandbox(context, sandbox);
    const limits = { ...PATIENT, outputBytes: 4n * 4096n };
    const report = await scene.attack(sandbox, 'ring.honest', [OUTPUT, 4096n], { limits });
    expect(report.message).toBe('the guest ended with code 0');
    scene.expectFilesUntouched(true);
  });

  it('keeps 64 KiB of a flood of log lines and counts the rest', async (context) => {
    requireSandbox(context, sandbox);
    const lines = 500n;
    const report = await scene.attack(sandbox, 'ring.log_flood', [lines, BigInt(LOG_MAX_LENGTH)]);
    const kept = report.log.reduce((sum, line) => sum + line.length, 0);
    expect(report.message).toBe('the guest ended with code 0');
    expect(kept).toBe(64 * 1024);
    expect(report.logDropped).toBe(lines * BigInt(LOG_MAX_LENGTH) - BigInt(kept));
  });

  it('hands lies about progress on as they are', async (context) => {
    requireSandbox(context, sandbox);
    const control = createControl();
    const lie = { opcode: OPCODE.values.PROGRESS, offset: 2n ** 64n - 1n, length: 1n };
    await scene.attack(sandbox, 'ring.descriptors', submissions(lie), { control });
    expect(control.progress()).toEqual({ done: 2n ** 64n - 1n, total: 1n });
  });

  it('hands a result of garbage on as opaque bytes of the size of the region', async (context) => {
    requireSandbox(context, sandbox);
    const report = await scene.attack(sandbox, 'results.fill', [0xffn]);
    expect(report.result.length).toBe(0x1_0000);
    expect(report.result.every((byte) => byte === 0xff)).toBe(true);
  });

  it.for(['limits.spin', 'limits.wait_forever', 'limits.doorbell_storm', 'ring.progress_flood'])(
    'is cancelled during %s',
    async (attack, context) => {
      requireSandbox(context, sandbox);
      const control = createControl();
      const run = timed(() => scene.attack(sandbox, attack, [], { control, limits: PATIENT }));
      await sleep(100);
      const asked = performance.now();
      control.cancel();
      const { report } = await run;
      expect(report).toMatchObject({ outcome: 'cancelled', message: 'cancelled' });
      expect(performance.now() - asked).toBeLessThan(LATE_MS);
      await scene.expectHealthy(sandbox);
    },
  );

  it('is cancelled before it began', async (context) => {
    requireSandbox(context, sandbox);
    const control = createControl();
    control.cancel();
    const report = await scene.attack(sandbox, 'limits.spin', [], { control, limits: PATIENT });
    expect(report.outcome).toBe('cancelled');
  });

  it('is cancelled during large copies', async (context) => {
    requireSandbox(context, sandbox);
    const big = join(scene.directory, 'big');
    writeFileSync(big, Buffer.alloc(COMMAND_MAX_LENGTH, 1));
    const descriptor = openSync(big, 'r+');
    const size = BigInt(COMMAND_MAX_LENGTH);
    const devices = [
      { fd: descriptor, access: 'input' as const, size },
      { fd: descriptor, access: 'output' as const, size },
    ];
    const control = createControl();
    const run = scene.attack(sandbox, 'ring.copy_forever', [1n, size], { control, devices, limits: PATIENT });
    await sleep(200);
    const asked = performance.now();
    control.cancel();
    const report = await run;
    closeSync(descriptor);
    rmSync(big);
    expect(report.outcome).toBe('cancelled');
    expect(report.statistics.bytesCopied).toBeGreaterThan(0n);
    expect(performance.now() - asked).toBeLessThan(LATE_MS);
  });

  describe('into a pipe that nobody reads', () => {
    const pipe = (): number => {
      const path = join(scene.directory, 'pipe');
      execFileSync('mkfifo', [path]);
      const descriptor = openSync(path, constants.O_RDWR);
      rmSync(path);
      return descriptor;
    };

    it.for([
      ['cancelled', {}],
      ['limit', { wallClockMs: 300 }],
    ] as const)('ends: %s', async ([outcome, extra], context) => {
      requireSandbox(context, sandbox);
      const descriptor = pipe();
      const devices = [
        ...scene.devices.slice(0, 1),
        { fd: descriptor, access: 'stream-output' as const, size: 1n << 40n },
      ];
      const control = createControl();
      const limits = { ...PATIENT, ...extra };
      const run = scene.attack(sandbox, 'ring.write_forever', [1n, MIB], { control, devices, limits });
      await sleep(150);
      const asked = performance.now();
      if (outcome === 'cancelled') control.cancel();
      const report = await run;
      const head = Buffer.alloc(4096, 1);
      readSync(descriptor, head);
      closeSync(descriptor);
      expect(report.outcome).toBe(outcome);
      expect(performance.now() - asked).toBeLessThan(300 + LATE_MS);
      expect(head.every((byte) => byte === 0)).toBe(true);
    });

    it('a stream takes consecutive bytes only', async (context) => {
      requireSandbox(context, sandbox);
      const descriptor = pipe();
      const devices = [
        ...scene.devices.slice(0, 1),
        { fd: descriptor, access: 'stream-output' as const, size: 1n << 40n },
      ];
      const copy = { opcode: OPCODE.values.COPY, target_device: 1, length: 512n };
      const commands = submissions(copy, { ...copy, target_offset: 1024n });
      const report = await scene.attack(sandbox, 'ring.descriptors', commands, { devices });
      closeSync(descriptor);
      expect(report.outcome).toBe('bad-descriptor');
      expect(report.message).toContain('target_offset is 0x400, expected 0x200 (a stream takes consecutive bytes)');
    });
  });

  it('refuses a guest of another ABI, and names both', async (context) => {
    requireSandbox(context, sandbox);
    const image = Buffer.from(ATTACK_IMAGE);
    image.writeUInt32LE(7, GuestImageHeader.offsetOf('abi_major'));
    await expect(scene.attack(sandbox, 'list', [], { image })).rejects.toMatchObject({
      code: 'FOREIGN_ABI',
      message: expect.stringMatching(
        `built for ABI 7\\.${ABI_VERSION_MINOR} \\([0-9a-f]{16}\\), ` +
          `this host has ABI ${ABI_VERSION_MAJOR}\\.${ABI_VERSION_MINOR} \\([0-9a-f]{16}\\)`,
      ) as unknown,
    });
    const stranger = Buffer.from(ATTACK_IMAGE);
    const fingerprint = GuestImageHeader.offsetOf('fingerprint');
    stranger.writeUInt8((stranger[fingerprint] ?? 0) ^ 1, fingerprint);
    await expect(scene.attack(sandbox, 'list', [], { image: stranger })).rejects.toMatchObject({ code: 'FOREIGN_ABI' });
  });

  it.for([0, 1, 127, 200])('refuses a guest image of %i bytes', async (length, context) => {
    requireSandbox(context, sandbox);
    await expect(scene.attack(sandbox, 'list', [], { image: ATTACK_IMAGE.subarray(0, length) })).rejects.toMatchObject({
      code: 'BAD_GUEST_IMAGE',
    });
  });
});

it('counts exits under kvm and ends after too many', async (context) => {
  requireSandbox(context, 'kvm');
  const limits = { ...PATIENT, maxExits: 1000n };
  const { report, ms } = await timed(() => scene.attack('kvm', 'limits.wait_storm', [0x500n], { limits }));
  expect(report).toMatchObject({ outcome: 'limit', message: 'left the guest more than 1000 times' });
  expect(report.statistics.exits).toBeGreaterThan(1000n);
  expect(ms).toBeLessThan(LATE_MS);
});
