import { constants } from 'node:os';
import { getSystemErrorMap } from 'node:util';

/** Errors of Linux (errno.h) that neither node nor libuv has a name for; file systems and block devices give some. */
const LINUX_ERRORS: Readonly<Record<string, number>> = {
  ENOTBLK: 15,
  ECHRNG: 44,
  EL2NSYNC: 45,
  EL3HLT: 46,
  EL3RST: 47,
  ELNRNG: 48,
  EUNATCH: 49,
  ENOCSI: 50,
  EL2HLT: 51,
  EBADE: 52,
  EBADR: 53,
  EXFULL: 54,
  ENOANO: 55,
  EBADRQC: 56,
  EBADSLT: 57,
  EBFONT: 59,
  ENOPKG: 65,
  EREMOTE: 66,
  EADV: 68,
  ESRMNT: 69,
  ECOMM: 70,
  EDOTDOT: 73,
  ENOTUNIQ: 76,
  EBADFD: 77,
  EREMCHG: 78,
  ELIBACC: 79,
  ELIBBAD: 80,
  ELIBSCN: 81,
  ELIBMAX: 82,
  ELIBEXEC: 83,
  ERESTART: 85,
  ESTRPIPE: 86,
  EUSERS: 87,
  EPFNOSUPPORT: 96,
  ETOOMANYREFS: 109,
  EUCLEAN: 117,
  ENOTNAM: 118,
  ENAVAIL: 119,
  EISNAM: 120,
  ENOMEDIUM: 123,
  EMEDIUMTYPE: 124,
  ENOKEY: 126,
  EKEYEXPIRED: 127,
  EKEYREVOKED: 128,
  EKEYREJECTED: 129,
  EOWNERDEAD: 130,
  ENOTRECOVERABLE: 131,
  ERFKILL: 132,
  EHWPOISON: 133,
};

/** Numbers without a name; one that two names share has the name that strace prints. */
let names: ReadonlyMap<number, string> | undefined;

function table(): ReadonlyMap<number, string> {
  const map = new Map<number, string>();
  for (const [number, [name]] of getSystemErrorMap()) map.set(-number, name);
  for (const source of [constants.errno as Readonly<Record<string, number>>, LINUX_ERRORS]) {
    for (const [name, number] of Object.entries(source)) if (!map.has(number)) map.set(number, name);
  }
  return map;
}

/**
 * The name of a system error, as `ENOSPC`.
 * @param number as errno.h has it, positive
 * @returns `errno <number>` where Linux has no such error
 */
export function errnoName(number: number): string {
  names ??= table();
  return names.get(number) ?? `errno ${number}`;
}
