// Guest memory and registers after an attack: what the VMM dumps is what the attack left.
import { closeSync, fstatSync, mkdtempSync, openSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MEMORY_SIZE, RegistersX86_64, region } from '@instar/shared-abi';
import { createControl, runGuest, type DumpReport, type SandboxKind } from '@instar/vmm-native';
import { sandboxHelperPath } from '@instar/convert-guest';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ATTACK_IMAGE, listAttacks, requireSandbox, SANDBOXES } from '../hostile-guest/scene.js';

const REGISTERS = RegistersX86_64.layout.map((item) => item.name);
const MAGIC = Buffer.from('ATTK').readUInt32BE();

function register(dump: DumpReport | undefined, name: string): bigint {
  return dump?.registers[REGISTERS.indexOf(name)] ?? -1n;
}

function inside(address: bigint, name: string): boolean {
  const { start, size } = region(name);
  return address >= BigInt(start) && address < BigInt(start + size);
}

describe.each(SANDBOXES)('dumps of the %s sandbox', (sandbox: SandboxKind) => {
  let directory = '';
  let fd = -1;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'instar-dump-'));
    fd = openSync(join(directory, 'memory'), 'w+', 0o600);
  });
  afterAll(() => {
    closeSync(fd);
    rmSync(directory, { recursive: true });
  });

  function memory(address: bigint, length: number): Buffer {
    const bytes = Buffer.alloc(length);
    readSync(fd, bytes, 0, length, Number(address));
    return bytes;
  }

  async function attack(
    name: string,
    args: readonly bigint[],
    dump: { fd?: number; onCancel?: boolean } | null = { fd },
    control = createControl(),
  ) {
    const page = Buffer.alloc(4096);
    page.writeUInt32LE(MAGIC, 0);
    page.writeUInt32LE((await listAttacks()).indexOf(name), 4);
    args.forEach((value, index) => page.writeBigUInt64LE(value, 8 + index * 8));
    const options = {
      image: ATTACK_IMAGE,
      chainConfig: new Uint8Array(),
      operationConfig: page,
      devices: [],
      sandbox,
      helper: sandboxHelperPath(),
      limits: { noProgressMs: 500 },
    };
    return runGuest(dump === null ? options : { ...options, dump }, control);
  }

  it('holds the registers of a fault and all memory, the note and the page tables included', async (context) => {
    requireSandbox(context, sandbox);
    const address = 0x1234_5000n;
    const { outcome, fault, dump } = await attack('memory.read', [address]);
    expect(outcome).toBe('fault');
    expect(dump?.reason).toBe('fault');
    expect(dump?.error).toBeUndefined();
    expect(dump?.registers).toEqual(fault?.registers);
    expect(dump?.cr2).toBe(address);
    expect(inside(register(dump, 'rip'), 'image')).toBe(true);
    expect(inside(register(dump, 'rsp'), 'stack')).toBe(true);
    expect(fstatSync(fd).size).toBe(MEMORY_SIZE);
    expect(fstatSync(fd).blocks * 512).toBeLessThan(4 << 20);
    // The config page, and the attack's own copy of it on the stack.
    const config = memory(BigInt(region('operation_config').start), 16);
    expect(config.readBigUInt64LE(8)).toBe(address);
    const stack = memory(BigInt(region('stack').start), region('stack').size);
    expect(stack.indexOf(config)).toBeGreaterThan(0);
    // Text is what the image holds.
    const code = memory(register(dump, 'rip'), 32);
    expect(ATTACK_IMAGE.indexOf(code)).toBeGreaterThan(0);

    const note = dump?.vmcoreinfo.note;
    expect(dump?.vmcoreinfo).toMatchObject({ present: true, hostFormat: 1, guestFormat: 1 });
    const text = memory(note?.address ?? 0n, Number(note?.length ?? 0n))
      .subarray(24)
      .toString('latin1');
    expect(text).toMatch(/^OSRELEASE=instar-\d+\.\d+\.\d+\nBUILD-ID=[0-9a-f]{40}\nPAGESIZE=4096\n/);
    expect(text).toContain(`SYMBOL(swapper_pg_dir)=${(dump?.cr3 ?? 0n).toString(16)}\n`);

    // Down the page tables to the instruction.
    const rip = register(dump, 'rip');
    let table = dump?.cr3 ?? 0n;
    for (const shift of [39n, 30n, 21n, 12n]) {
      const entry = memory(table + ((rip >> shift) & 511n) * 8n, 8).readBigUInt64LE();
      expect(entry & 1n).toBe(1n);
      table = entry & 0xf_ffff_ffff_f000n;
      if ((entry & 0x80n) !== 0n) break;
    }
    expect(table).toBe(rip & ~0xfffn);
  });

  it('has the registers of a guest that a limit stops, and of one that panics', async (context) => {
    requireSandbox(context, sandbox);
    const spinning = await attack('limits.spin', []);
    expect(spinning.outcome).toBe('limit');
    expect(spinning.dump?.reason).toBe('limit');
    expect(inside(register(spinning.dump, 'rip'), 'image')).toBe(true);
    expect(inside(register(spinning.dump, 'rsp'), 'stack')).toBe(true);

    const waiting = await attack('limits.wait_forever', []);
    expect(waiting.outcome).toBe('limit');
    expect(inside(register(waiting.dump, 'rip'), 'image'), 'the caller of the call table').toBe(true);

    const panic = await attack('limits.exit', [101n]);
    expect(panic).toMatchObject({ outcome: 'exit', exitCode: 101, dump: { reason: 'panic' } });
    expect(inside(register(panic.dump, 'rip'), 'image')).toBe(true);
    expect(inside(register(panic.dump, 'rsp'), 'stack')).toBe(true);
  });

  it('is only taken when it is asked for and something went wrong', async (context) => {
    requireSandbox(context, sandbox);
    expect((await attack('memory.read', [0n], null)).dump).toBeUndefined();
    expect((await attack('memory.read', [0n], {})).dump).toBeUndefined();
    expect((await attack('limits.exit', [3n])).dump).toBeUndefined();
    for (const onCancel of [false, true]) {
      const control = createControl();
      const run = attack('limits.spin', [], { fd, onCancel }, control);
      setTimeout(() => {
        control.cancel();
      }, 100);
      const { outcome, dump } = await run;
      expect(outcome).toBe('cancelled');
      expect(dump?.reason).toBe(onCancel ? 'cancelled' : undefined);
    }
  });

  it('is taken on demand while the guest goes on', async (context) => {
    requireSandbox(context, sandbox);
    const control = createControl();
    await expect(control.requestDump(fd)).rejects.toThrow(/NOT_RUNNING/);
    const run = attack('limits.spin', [], {}, control);
    await new Promise((resolve) => setTimeout(resolve, 150));
    for (let count = 0; count < 2; count += 1) {
      const dump = await control.requestDump(fd);
      expect(dump).toMatchObject({ reason: 'request', vmcoreinfo: { present: true } });
      expect(inside(register(dump, 'rip'), 'image')).toBe(true);
      expect(memory(register(dump, 'rip'), 16).equals(Buffer.alloc(16))).toBe(false);
    }
    expect((await run).outcome).toBe('limit');
    await expect(control.requestDump(fd)).rejects.toThrow(/NOT_RUNNING/);
  });

  it('takes only a note that holds what it claims, and says what is wrong with another', async (context) => {
    requireSandbox(context, sandbox);
    const config = BigInt(region('operation_config').start);
    for (const [format, size, address, warning] of [
      [2n, 0x100n, config, /format is 2/],
      [1n, 0x10_0001n, config, /size is 1048577/],
      [1n, 4n, config, /size is 4/],
      [1n, 0x100n, BigInt(MEMORY_SIZE) - 1n, /not in guest memory/],
      [1n, 0x100n, 0xffff_ffff_ffff_ff80n, /not in guest memory/],
      [1n, 0x100n, config, /header claims|not VMCOREINFO/],
    ] as const) {
      const { dump } = await attack('items.describe_note', [7n, format, size, address]);
      expect(dump?.vmcoreinfo).toMatchObject({ present: true, hostFormat: 1, guestFormat: Number(format) });
      expect(dump?.vmcoreinfo).toMatchObject({ size: Number(size), paddr: address });
      expect(dump?.vmcoreinfo.note).toBeUndefined();
      expect(dump?.vmcoreinfo.warning).toMatch(warning);
    }
    const { dump } = await attack('items.describe_note', [0n, 0n, 0x100n, config]);
    expect(dump?.vmcoreinfo.present).toBe(false);
    expect(dump?.vmcoreinfo.warning).toBeUndefined();
    for (const length of [0n, 4n, 15n]) {
      const partly = await attack('items.describe_partly', [length]);
      expect(partly.dump?.vmcoreinfo.note, 'the first description stands').toBeDefined();
    }
    expect(await attack('items.read_back', [0x19n])).toMatchObject({ outcome: 'exit', exitCode: 0 });
  });

  it('says why where the file cannot be written', async (context) => {
    requireSandbox(context, sandbox);
    const readOnly = openSync(join(directory, 'memory'), 'r');
    try {
      const { outcome, dump } = await attack('memory.read', [0n], { fd: readOnly });
      expect(outcome).toBe('fault');
      expect(dump?.error).toMatch(/Invalid argument|Bad file/);
    } finally {
      closeSync(readOnly);
    }
  });
});
