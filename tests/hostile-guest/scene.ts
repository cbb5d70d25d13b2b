import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sandboxHelperPath } from '@instar/convert-guest';
import { OPERATION_CONFIG_MAX_SIZE } from '@instar/shared-abi';
import { probeKvm, runGuest } from '@instar/vmm-native';
import type { DeviceOptions, LimitOptions, RunControl, RunReport, SandboxKind } from '@instar/vmm-native';
import { expect, type TestContext } from 'vitest';
import { skipLoudly } from '../support/judge.js';

const MIB = 1 << 20;

/** Device indexes of every run. */
export const DEVICE = { INPUT: 0, SMALL_INPUT: 1, OUTPUT: 2, MISSING: 3 } as const;
/** Bytes of the two inputs. */
export const INPUT_BYTES = MIB;
export const SMALL_INPUT_BYTES = 12345;
/** Bytes that the output file has, and how many of them the guest may write. */
export const OUTPUT_BYTES = MIB;
export const OUTPUT_LIMIT = 256 * 1024;

/** How long an attack may do nothing (ms). */
export const NO_PROGRESS_MS = 300;

export const SANDBOXES: readonly SandboxKind[] = ['kvm', 'process'];

/** Where the guest image of the attacks is. */
export const ATTACK_PATH = fileURLToPath(new URL('../../packages/convert-guest/guests/attack.img', import.meta.url));

/** The guest image of the attacks. */
export const ATTACK_IMAGE = readFileSync(ATTACK_PATH);

const CONFIG_MAGIC = Buffer.from('ATTK').readUInt32BE();

function pattern(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let index = 0; index < length; index += 1) bytes[index] = (index * 31 + (index >> 8) * 7 + seed) & 0xff;
  return bytes;
}

/** Skips where the sandbox does not exist; in CI that is a failure. */
export function requireSandbox(context: TestContext, sandbox: SandboxKind): void {
  const reason = sandbox === 'kvm' ? probeKvm() : null;
  if (reason !== null) skipLoudly(context, `no KVM here: ${reason}`);
}

/** A config page that orders an attack. */
export function configPage(number: number, args: readonly bigint[]): Buffer {
  const page = Buffer.alloc(OPERATION_CONFIG_MAX_SIZE);
  page.writeUInt32LE(CONFIG_MAGIC, 0);
  page.writeUInt32LE(number, 4);
  args.forEach((value, index) => page.writeBigUInt64LE(BigInt.asUintN(64, value), 8 + index * 8));
  return page;
}

/** Byte offset of an argument in the config page. */
export function argumentOffset(index: number): number {
  return 8 + index * 8;
}

/** How an attack is run. */
export interface AttackOptions {
  readonly limits?: LimitOptions;
  readonly control?: RunControl;
  /** Replaces the three files of the scene. */
  readonly devices?: DeviceOptions[];
  /** More requests come through `control`. */
  readonly session?: boolean;
  /** The guest has a second processor. */
  readonly secondProcessor?: boolean | undefined;
  /** Replaces the attack guest. */
  readonly image?: Uint8Array;
  /** Threads that execute commands. */
  readonly ioThreads?: number;
}

async function attackWith(
  sandbox: SandboxKind,
  number: number,
  args: readonly bigint[],
  devices: DeviceOptions[],
  options: AttackOptions,
): Promise<RunReport> {
  return runGuest(
    {
      image: options.image ?? ATTACK_IMAGE,
      chainConfig: new Uint8Array(),
      operationConfig: configPage(number, args),
      devices,
      session: options.session ?? false,
      secondProcessor: options.secondProcessor ?? false,
      sandbox,
      helper: sandboxHelperPath(),
      ...(options.ioThreads === undefined ? {} : { ioThreads: options.ioThreads }),
      limits: { noProgressMs: NO_PROGRESS_MS, ...options.limits },
    },
    options.control,
  );
}

let known: Promise<readonly string[]> | undefined;

/** Names of all attacks in the order of their numbers, as the guest itself tells them. */
export function listAttacks(): Promise<readonly string[]> {
  known ??= attackWith('process', 0, [], [], {}).then((report) => {
    const text = report.result.toString('latin1');
    return text.slice(0, text.indexOf('\0')).trimEnd().split('\n');
  });
  return known;
}

/** A directory with two inputs, an output and a file that is nobody's business, and the descriptors on them. */
export class Scene {
  readonly directory = mkdtempSync(join(tmpdir(), 'instar-hostile-'));
  readonly canaryPath = join(this.directory, 'canary');
  readonly #contents = new Map([
    ['input', pattern(INPUT_BYTES, 1)],
    ['small-input', pattern(SMALL_INPUT_BYTES, 2)],
    ['canary', pattern(4096, 3)],
  ]);
  readonly #pristineOutput = Buffer.alloc(OUTPUT_BYTES, 0xa5);
  readonly #descriptors: number[];
  readonly devices: DeviceOptions[];

  constructor() {
    for (const [name, bytes] of this.#contents) writeFileSync(join(this.directory, name), bytes);
    writeFileSync(join(this.directory, 'output'), this.#pristineOutput);
    const open = (name: string, flags: string): number => openSync(join(this.directory, name), flags);
    // Inputs are opened for writing too: what keeps the guest from writing them must not be the descriptor's mode.
    const [input, small, output] = [open('input', 'r+'), open('small-input', 'r+'), open('output', 'r+')];
    this.#descriptors = [input, small, output];
    this.devices = [
      { fd: input, access: 'input', size: BigInt(INPUT_BYTES) },
      { fd: small, access: 'input', size: BigInt(SMALL_INPUT_BYTES) },
      { fd: output, access: 'output', size: BigInt(OUTPUT_LIMIT) },
    ];
  }

  close(): void {
    for (const descriptor of this.#descriptors) closeSync(descriptor);
    rmSync(this.directory, { recursive: true });
  }

  /** Runs an attack by name. */
  async attack(
    sandbox: SandboxKind,
    name: string,
    args: readonly bigint[] = [],
    options: AttackOptions = {},
  ): Promise<RunReport> {
    const number = (await listAttacks()).indexOf(name);
    if (number < 0) throw new Error(`the attack guest has no attack ${name}`);
    return attackWith(sandbox, number, args, options.devices ?? this.devices, options);
  }

  /**
   * Asserts that no byte changed but, where the attack `writes`, those within the output's limit. Afterwards all files
   * are as they were at the start, so that one attack that gets through is one failed test.
   */
  expectFilesUntouched(writes: boolean): void {
    const contents = new Map([...this.#contents, ['output', this.#pristineOutput]]);
    const changed: string[] = [];
    for (const [name, expected] of contents) {
      const path = join(this.directory, name);
      const found = readFileSync(path);
      if (found.equals(expected)) continue;
      const allowed = writes && name === 'output' ? OUTPUT_LIMIT : 0;
      const same = found.length === expected.length && found.subarray(allowed).equals(expected.subarray(allowed));
      if (!same) changed.push(name);
      writeFileSync(path, expected);
    }
    const strangers = readdirSync(this.directory).filter((name) => !contents.has(name));
    expect({ changed, strangers }).toEqual({ changed: [], strangers: [] });
  }

  /** Asserts that a well-behaved guest works: it copies the head of the input three times and zeroes as many bytes. */
  async expectHealthy(sandbox: SandboxKind): Promise<void> {
    const length = 4096;
    const report = await this.attack(sandbox, 'ring.honest', [BigInt(DEVICE.OUTPUT), BigInt(length)]);
    expect(report.message).toBe('the guest ended with code 0');
    const head = (this.#contents.get('input') ?? Buffer.alloc(0)).subarray(0, length);
    const written = readFileSync(join(this.directory, 'output')).subarray(0, 4 * length);
    expect(written.equals(Buffer.concat([head, head, head, Buffer.alloc(length)])), 'the honest copy').toBe(true);
    this.expectFilesUntouched(true);
  }
}
