/** Machines whose dumps are known, by their ELF e_machine (gABI and psABI supplements). */
export const ELF_MACHINES = {
  i386: 3,
  ppc64: 21,
  s390x: 22,
  arm: 40,
  x86_64: 62,
  aarch64: 183,
  riscv64: 243,
  loongarch64: 258,
} as const;

/** Name of a machine, as `uname -m` gives it where there is one; `unknown` where a dump does not tell. */
export type Machine = keyof typeof ELF_MACHINES | 'unknown';

/** The machine of an e_machine value. */
export function machineOfElf(value: number): Machine {
  for (const [name, number] of Object.entries(ELF_MACHINES)) {
    if (number === value) return name as keyof typeof ELF_MACHINES;
  }
  return 'unknown';
}

/** The e_machine value of a machine; 0 (EM_NONE) where it is not known. */
export function elfOfMachine(machine: Machine): number {
  return machine === 'unknown' ? 0 : ELF_MACHINES[machine];
}

/** The machine that a kdump header's utsname.machine names. */
export function machineOfUtsname(name: string): Machine {
  if (/^i[3-6]86$/.test(name)) return 'i386';
  if (name.startsWith('armv')) return 'arm';
  if (name === 'ppc64le') return 'ppc64';
  if (name === 'aarch64_be') return 'aarch64';
  // QEMU's spelling.
  if (name === 'S390X') return 's390x';
  return Object.hasOwn(ELF_MACHINES, name) ? (name as keyof typeof ELF_MACHINES) : 'unknown';
}

/** What a kdump header's utsname.machine says of a machine. */
export function utsnameOfMachine(machine: Machine): string {
  if (machine === 'unknown') return '';
  return machine === 'i386' ? 'i686' : machine;
}
