import { byteSize, resolve, type Endian } from '@instar/layout';
import { describe, expect, it } from 'vitest';
import { DiskDumpHeader, KdumpSubHeader, NewUtsname } from '../src/structures/diskdump.js';
import { Ehdr, Phdr32, Phdr64, Shdr } from '../src/structures/elf.js';
import { prstatus, prstatusSize, QemuCpuState } from '../src/structures/prstatus.js';
import { dumpTarget, structureCodec } from '../src/structures/targets.js';

const orders: readonly Endian[] = ['little', 'big'];

describe('the structures of dumps have the sizes and places that QEMU, Linux and the gABI give them', () => {
  it.each(orders)('kdump headers, %s endian', (order) => {
    const [wide, narrow] = [dumpTarget(order, 64), dumpTarget(order, 32)];
    expect(byteSize(resolve(NewUtsname, wide))).toBe(390);
    expect(byteSize(resolve(DiskDumpHeader, wide))).toBe(464);
    expect(byteSize(resolve(DiskDumpHeader, narrow))).toBe(452);
    expect(byteSize(resolve(KdumpSubHeader, wide))).toBe(104);
    expect(byteSize(resolve(KdumpSubHeader, narrow))).toBe(80);
    const bytes = structureCodec(DiskDumpHeader, wide).encode({ block_size: 0x1234 });
    expect(new DataView(bytes.buffer).getUint32(428, order === 'little')).toBe(0x1234);
    const short = structureCodec(DiskDumpHeader, narrow).encode({ block_size: 0x1234 });
    expect(new DataView(short.buffer).getUint32(416, order === 'little')).toBe(0x1234);
  });

  it.each(orders)('ELF headers, %s endian', (order) => {
    const [wide, narrow] = [dumpTarget(order, 64), dumpTarget(order, 32)];
    expect([Ehdr, Phdr64, Shdr].map((type) => byteSize(resolve(type, wide)))).toEqual([64, 56, 64]);
    expect([Ehdr, Phdr32, Shdr].map((type) => byteSize(resolve(type, narrow)))).toEqual([52, 32, 40]);
  });

  it('registers: NT_PRSTATUS of each machine, and QEMU’s own note', () => {
    expect(prstatusSize('x86_64')).toBe(336);
    expect(prstatusSize('i386')).toBe(144);
    expect(prstatusSize('aarch64')).toBe(392);
    expect(prstatusSize('s390x')).toBe(336);
    expect(prstatusSize('arm')).toBe(148);
    expect(byteSize(resolve(QemuCpuState, dumpTarget('little', 64)))).toBe(440);
    // struct elf_prstatus: pr_pid and pr_reg (Linux, include/linux/elfcore.h).
    const codec = structureCodec(prstatus('x86_64'), dumpTarget('little', 64));
    const bytes = codec.encode({ ...codec.zero(), pr_pid: 7, pr_reg: { ...codec.zero().pr_reg, r15: 0x77n } });
    const view = new DataView(bytes.buffer);
    expect([view.getInt32(32, true), view.getBigUint64(112, true)]).toEqual([7, 0x77n]);
  });
});
