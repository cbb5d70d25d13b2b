import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { judgeVersion, requireJudge } from '../../support/judge.js';
import { Workdir } from '../../support/workdir.js';
import { GUESTS, build } from '../qemu/guest.js';
import { RunningGuest } from '../qemu/machine.js';
import { pattern } from '../qemu/pattern.js';
import { CRASH, DRGN, FILE, GDB_MULTIARCH, LIBKDUMPFILE, MAKEDUMPFILE, READELF } from '../tools.js';
import { readWithCrash } from './crash.js';
import { readWithDrgn } from './drgn.js';
import { describeFile } from './file.js';
import { readWithGdb } from './gdb.js';
import { readWithKdumpfile } from './kdumpfile.js';
import { convertWithMakedumpfile, rearrange } from './makedumpfile.js';
import { readElf } from './readelf.js';
import { ReaderRefusal } from './reading.js';

/*
 * A judge is believed only where it tells of QEMU's own dumps what is known of the guest. Where it cannot read them, the
 * reason stands here, so that a newer reader or QEMU is noticed.
 */
describe.each(GUESTS)("QEMU's dumps of the $name guest", (guest) => {
  let directory: Workdir;
  let running: RunningGuest | undefined;
  const [elf, flattened, kdump] = ['elf', 'flattened', 'kdump'];
  const path = (name: string): string => directory.file(name);
  const wanted = [0n, 0x20010n, 0x3fff8n, 0x4fff0n].map((at) => ({ address: guest.pattern + at, length: 16 }));
  const bytes = wanted.map(({ address }) => {
    const at = Number(address - guest.pattern);
    return pattern(guest.littleEndian).subarray(at, at + 16);
  });

  beforeAll(async () => {
    directory = new Workdir();
    if (![...guest.judges, MAKEDUMPFILE].every((judge) => judgeVersion(judge) !== undefined)) return;
    running = await RunningGuest.start(build(guest, directory), directory);
    await running.dump({ path: path(elf) });
    await running.dump({ path: path(flattened), format: 'kdump-zlib' });
    rearrange(path(flattened), path(kdump));
  });

  afterAll(async () => {
    await running?.close();
    directory.remove();
  });

  function known(): { registers: Readonly<Record<string, bigint>>; names: readonly string[] } {
    if (running === undefined) throw new Error('not started');
    return { registers: running.built.registers, names: Object.keys(running.built.registers) };
  }

  it('gdb reads registers and memory', (context) => {
    for (const judge of [...guest.judges, MAKEDUMPFILE, GDB_MULTIARCH]) requireJudge(context, judge);
    const { registers, names } = known();
    const read = readWithGdb(path(elf), wanted, names, true);
    expect(read.cpus).toHaveLength(guest.cpus);
    expect(read.cpus?.[0]).toEqual(registers);
    expect(read.bytes).toEqual(bytes);
    expect(() => readWithGdb(path(kdump), wanted, names, true)).toThrow(ReaderRefusal);
  });

  it('readelf and file name them', (context) => {
    for (const judge of [...guest.judges, MAKEDUMPFILE, READELF, FILE]) requireJudge(context, judge);
    const shown = readElf(path(elf));
    expect(shown.elfClass).toBe(guest.elfClass);
    expect(shown.data).toContain(guest.littleEndian ? 'little' : 'big');
    expect(shown.segments.filter(({ type }) => type === 'NOTE')).toHaveLength(1);
    expect(shown.notes.filter(({ owner }) => owner === 'VMCOREINFO').map(({ size }) => size)).toEqual(
      guest.vmcoreinfo === undefined ? [] : [guest.vmcoreinfo.length],
    );
    expect(describeFile(path(elf))).toMatch(/^ELF .* core file/);
    expect(describeFile(path(flattened))).toMatch(/^Flattened kdump compressed dump/);
    expect(describeFile(path(kdump))).toMatch(/^Kdump compressed dump/);
  });

  it('libkdumpfile reads memory and VMCOREINFO', (context) => {
    for (const judge of [...guest.judges, MAKEDUMPFILE, LIBKDUMPFILE]) requireJudge(context, judge);
    const { registers, names } = known();
    expect(readWithKdumpfile(path(kdump), wanted, names)).toMatchObject({
      bytes,
      vmcoreinfo: guest.vmcoreinfo,
      // QEMU names neither system nor release in the header.
      machine: undefined,
      cpus: undefined,
    });
    expect(() => readWithKdumpfile(path(flattened), wanted, names)).toThrow('Unknown file format');
    if (guest.name === 's390x') {
      expect(() => readWithKdumpfile(path(elf), wanted, names)).toThrow('Cannot allocate ELF string table');
      return;
    }
    const read = readWithKdumpfile(path(elf), wanted, names);
    expect(read.bytes).toEqual(bytes);
    expect(read.vmcoreinfo).toBe(guest.vmcoreinfo);
    expect(read.cpus?.[0]).toEqual(registers);
  });

  it('drgn reads memory, and threads where there is no VMCOREINFO', (context) => {
    for (const judge of [...guest.judges, MAKEDUMPFILE, DRGN]) requireJudge(context, judge);
    const { registers, names } = known();
    if (guest.name === 'i386-loaded') {
      expect(() => readWithDrgn(path(elf), wanted, names)).toThrow('unrecognized QEMU memory dump');
    } else {
      const read = readWithDrgn(path(elf), wanted, names);
      expect(read.osRelease).toBe(guest.vmcoreinfo === undefined ? undefined : '6.1.0-instar-guest');
      expect(read.bytes).toEqual(bytes);
      if (guest.vmcoreinfo === undefined) expect(read.cpus?.[0]).toEqual(registers);
    }
    expect(() => readWithDrgn(path(kdump), wanted, names)).toThrow(
      guest.vmcoreinfo === undefined ? 'linux.vmcoreinfo.raw is not set' : 'KDUMP_ATTR_ARCH_NAME',
    );
  });

  it('crash finds the release', (context) => {
    for (const judge of [...guest.judges, MAKEDUMPFILE, CRASH]) requireJudge(context, judge);
    for (const name of [elf, flattened, kdump]) {
      // It was built for one machine, and holds ELF files to that.
      const reads = guest.vmcoreinfo !== undefined && (name !== elf || guest.name === 'x86_64');
      if (reads) expect(readWithCrash(path(name))).toEqual({ osRelease: '6.1.0-instar-guest' });
      else expect(() => readWithCrash(path(name))).toThrow(ReaderRefusal);
    }
  });

  it("makedumpfile cannot read QEMU's program headers", (context) => {
    for (const judge of [...guest.judges, MAKEDUMPFILE]) requireJudge(context, judge);
    expect(() => {
      convertWithMakedumpfile(path(elf), path('converted'), ['-c', '-d', '0']);
    }).toThrow(/get_elf_info|elf/i);
  });
});
