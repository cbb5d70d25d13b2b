import type { Note } from './note.js';

/** Name of the note whose descriptor is VMCOREINFO text. */
export const VMCOREINFO_NOTE = 'VMCOREINFO';
/** Most bytes of VMCOREINFO that are looked at; Linux's has a page or two. */
export const MAX_VMCOREINFO = 1 << 20;

/**
 * VMCOREINFO: what a kernel says of itself, lines of `KEY=value` (Linux, Documentation/admin-guide/kdump/vmcoreinfo.rst).
 * The text comes from the dump; escape it before it is shown.
 */
export class VmcoreInfo {
  /** The text as it stands in the dump. */
  readonly text: string;
  readonly #entries: ReadonlyMap<string, string>;

  constructor(text: string) {
    this.text = text;
    const entries = new Map<string, string>();
    for (const line of text.split('\n')) {
      const equals = line.indexOf('=');
      // The first one counts, as for the tools that search the text.
      if (equals > 0 && !entries.has(line.slice(0, equals))) entries.set(line.slice(0, equals), line.slice(equals + 1));
    }
    this.#entries = entries;
  }

  /** Keys and values, in the order of the text. */
  entries(): IterableIterator<[string, string]> {
    return this.#entries.entries();
  }

  get(key: string): string | undefined {
    return this.#entries.get(key);
  }

  /** `OSRELEASE`. */
  get osRelease(): string | undefined {
    return this.get('OSRELEASE');
  }

  /** `PAGESIZE` (bytes). */
  get pageSize(): bigint | undefined {
    return parseNumber(this.get('PAGESIZE'), 10);
  }

  /** `SYMBOL(name)`: an address, which Linux writes in hexadecimal without a prefix. */
  symbol(name: string): bigint | undefined {
    return parseNumber(this.get(`SYMBOL(${name})`), 16);
  }

  /** `SIZE(name)` (bytes). */
  sizeOf(name: string): bigint | undefined {
    return parseNumber(this.get(`SIZE(${name})`), 10);
  }

  /** `OFFSET(struct.member)` (bytes). */
  offsetOf(member: string): bigint | undefined {
    return parseNumber(this.get(`OFFSET(${member})`), 10);
  }

  /** `LENGTH(name)`: elements of an array. */
  lengthOf(name: string): bigint | undefined {
    return parseNumber(this.get(`LENGTH(${name})`), 10);
  }

  /** `NUMBER(name)`: Linux writes decimal, sometimes negative; `0x…` is read too. */
  number(name: string): bigint | undefined {
    return parseNumber(this.get(`NUMBER(${name})`), 10);
  }

  /** `KERNELOFFSET`, which Linux writes in hexadecimal without a prefix (bytes). */
  get kernelOffset(): bigint | undefined {
    return parseNumber(this.get('KERNELOFFSET'), 16);
  }

  /** Physical address of the kernel's first byte: `NUMBER(phys_base)`, or `NUMBER(PHYS_OFFSET)` on aarch64. */
  get physBase(): bigint | undefined {
    return this.number('phys_base') ?? this.number('PHYS_OFFSET');
  }
}

function parseNumber(text: string | undefined, radix: 10 | 16): bigint | undefined {
  const match = /^(-?)(0[xX])?([0-9a-fA-F]{1,32})$/.exec(text?.trim() ?? '');
  if (match === null) return undefined;
  const [, sign = '', prefix = '', digits = ''] = match;
  if (prefix === '' && radix === 10 && !/^\d+$/.test(digits)) return undefined;
  const value = BigInt(prefix !== '' || radix === 16 ? `0x${digits}` : digits);
  return sign === '-' ? -value : value;
}

/** Text of VMCOREINFO bytes; NULs at its end are padding. */
export function vmcoreInfoOf(bytes: Uint8Array): VmcoreInfo {
  const text = Buffer.from(bytes.subarray(0, MAX_VMCOREINFO)).toString('latin1');
  return new VmcoreInfo(text.replace(/\0+$/, ''));
}

/** VMCOREINFO among notes. */
export function findVmcoreInfo(notes: readonly Note[]): VmcoreInfo | undefined {
  const note = notes.find((item) => item.name === VMCOREINFO_NOTE);
  return note === undefined ? undefined : vmcoreInfoOf(note.descriptor);
}
