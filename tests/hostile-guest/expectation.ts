import { region } from '@instar/shared-abi';
import type { RunReport } from '@instar/vmm-native';

/** An address that a fault must name: exactly this one, or any inside a region of the memory map. */
export type Place = bigint | { readonly inside: string };

/** What may become of an attack. */
export type Expectation =
  | { readonly outcome: 'exit'; readonly code: number }
  | {
      readonly outcome: 'fault';
      readonly vector: number;
      readonly errorCode?: bigint;
      readonly cr2?: Place;
      readonly rip?: Place;
    }
  | {
      readonly outcome: 'violation' | 'bad-descriptor' | 'bad-ring' | 'limit';
      readonly message: RegExp;
    };

/** One line of the table: an attack, its arguments, and what becomes of it in each sandbox. Several are alternatives. */
export interface Row {
  /** Name in the guest's own table. */
  readonly attack: string;
  /** What these arguments stand for. */
  readonly about?: string;
  readonly arguments?: readonly bigint[];
  readonly kvm: readonly Expectation[];
  readonly process: readonly Expectation[];
  /** Why the sandboxes differ, or why there are alternatives. */
  readonly why?: string;
  /** The guest has a second processor. */
  readonly secondProcessor?: boolean;
  /** The attack also uses the output as it may: within its limit. */
  readonly writes?: boolean;
}

/** Exception vectors (Intel SDM volume 3, table 6-1). */
export const VECTOR = {
  DIVIDE: 0,
  DEBUG: 1,
  BREAKPOINT: 3,
  OVERFLOW: 4,
  INVALID_OPCODE: 6,
  STACK: 12,
  PROTECTION: 13,
  PAGE: 14,
  X87: 16,
  ALIGNMENT: 17,
  SIMD: 19,
} as const;

/** Error code of a page fault (Intel SDM volume 3, 4.7): page present, write, from CPL 3, instruction fetch. */
export const PAGE_FAULT = { PRESENT: 1n, WRITE: 2n, USER: 4n, FETCH: 16n } as const;

export function exit(code = 0): Expectation {
  return { outcome: 'exit', code };
}

export function pageFault(errorCode: bigint, cr2: Place, rip?: Place): Expectation {
  return { outcome: 'fault', vector: VECTOR.PAGE, errorCode, cr2, ...(rip === undefined ? {} : { rip }) };
}

export function fault(vector: number, errorCode = 0n): Expectation {
  return { outcome: 'fault', vector, errorCode };
}

/** The answer of CPL 0 to everything that CPL 3 may not do. */
export const PROTECTION_FAULT: Expectation = { ...fault(VECTOR.PROTECTION), rip: { inside: 'image' } } as Expectation;
export const INVALID_OPCODE: Expectation = { ...fault(VECTOR.INVALID_OPCODE), rip: { inside: 'image' } } as Expectation;

export function violation(message: RegExp): Expectation {
  return { outcome: 'violation', message };
}

export function badDescriptor(message: RegExp): Expectation {
  return { outcome: 'bad-descriptor', message };
}

export const STANDSTILL: Expectation = { outcome: 'limit', message: /^no progress for \d+ ms$/ };

/** The same in both sandboxes. */
export function both(...expected: readonly Expectation[]): Pick<Row, 'kvm' | 'process'> {
  return { kvm: expected, process: expected };
}

function isAt(place: Place | undefined, address: bigint): boolean {
  if (place === undefined) return true;
  if (typeof place === 'bigint') return address === place;
  const { start, size } = region(place.inside);
  return address >= BigInt(start) && address < BigInt(start) + BigInt(size);
}

function meets(report: RunReport, expected: Expectation): boolean {
  if (report.outcome !== expected.outcome) return false;
  switch (expected.outcome) {
    case 'exit':
      return report.exitCode === expected.code;
    case 'fault': {
      const found = report.fault;
      return (
        found?.vector === expected.vector &&
        (expected.errorCode === undefined || found.errorCode === expected.errorCode) &&
        isAt(expected.cr2, found.cr2) &&
        isAt(expected.rip, found.rip)
      );
    }
    default:
      return expected.message.test(report.message.replace(/^[^:]*: /, ''));
  }
}

function inWords(value: unknown): string {
  return JSON.stringify(value, (_, item: unknown) => {
    if (typeof item === 'bigint') return `0x${item.toString(16)}`;
    return item instanceof RegExp ? String(item) : item;
  });
}

/** Undefined where the report is as expected, else what was found and what was expected. */
export function complaint(report: RunReport, expected: readonly Expectation[]): string | undefined {
  if (expected.some((one) => meets(report, one))) return undefined;
  const { outcome, exitCode, message, fault: found } = report;
  const fields = found && { vector: found.vector, errorCode: found.errorCode, cr2: found.cr2, rip: found.rip };
  return `found ${inWords({ outcome, exitCode, message, ...fields })}, expected ${expected.map(inWords).join(' or ')}`;
}
