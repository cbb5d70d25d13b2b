import type { Endian, Target } from '../layout/target.js';
import { ExtractError } from './errors.js';
import { newBudget, SectionBytes } from './section-bytes.js';

// Reads the data that an assembler would write, from the directives of gcc and clang (GNU as manual, "Pseudo Ops").
// Instructions are skipped.

/** Bytes of one section, with what a linker would have to fill in resolved where this file says it. */
export interface Section {
  readonly bytes: Uint8Array;
  /** Offsets of labels in the section. */
  readonly labels: ReadonlyMap<string, number>;
}

/** The data of an assembly file. */
export interface Assembly {
  readonly endian: Endian;
  readonly section: (name: string) => Section;
  /** Bytes from a label to the end that `.size` states, or `count` of them. */
  readonly object: (label: string, count: number) => Uint8Array;
  /** Every label. */
  readonly labels: readonly string[];
  /** The values that `.set` gave a symbol, in order. */
  readonly settings: ReadonlyMap<string, readonly number[]>;
}

interface Building {
  readonly bytes: SectionBytes;
  readonly labels: Map<string, number>;
  readonly fixups: { readonly at: number; readonly size: number; readonly text: string }[];
}

const SIZES: Readonly<Record<string, number>> = {
  '.byte': 1,
  '.2byte': 2,
  '.short': 2,
  '.hword': 2,
  '.half': 2,
  '.value': 2,
  '.4byte': 4,
  '.long': 4,
  '.int': 4,
  '.secrel32': 4,
  '.8byte': 8,
  '.dword': 8,
  '.quad': 8,
  '.xword': 8,
};

const ESCAPES: Readonly<Record<string, number>> = { b: 8, f: 12, n: 10, r: 13, t: 9 };

/** The bytes of a quoted string, with C's octal and letter escapes. */
function unquote(text: string): number[] {
  const out: number[] = [];
  const body = text.trim().replace(/^"/, '').replace(/"$/, '');
  for (let at = 0; at < body.length; at += 1) {
    const next = body[at + 1];
    if (body[at] !== '\\' || next === undefined) {
      out.push(...new TextEncoder().encode(String.fromCodePoint(body.codePointAt(at) ?? 0)));
      if ((body.codePointAt(at) ?? 0) > 0xffff) at += 1;
      continue;
    }
    const octal = /^[0-7]{1,3}/.exec(body.slice(at + 1, at + 4));
    if (octal === null) out.push(ESCAPES[next] ?? next.charCodeAt(0));
    else out.push(Number.parseInt(octal[0], 8) & 0xff);
    at += octal === null ? 1 : octal[0].length;
  }
  return out;
}

function leb128(value: bigint, signed: boolean): number[] {
  const out: number[] = [];
  let rest = value;
  for (;;) {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    const done = signed ? (rest === 0n && low < 64) || (rest === -1n && low >= 64) : rest === 0n;
    out.push(done ? low : low | 0x80);
    if (done) return out;
  }
}

function integer(text: string): bigint | undefined {
  const match = /^(-?)(0[xX][0-9a-fA-F]+|[0-9]+)$/.exec(text.trim());
  if (match?.[2] === undefined) return undefined;
  const value = /^0[0-7]+$/.test(match[2]) ? BigInt(`0o${match[2].slice(1)}`) : BigInt(match[2]);
  return match[1] === '-' ? -value : value;
}

/** Drops a comment: `#` on most targets, `//` on AArch64, `@` on ARM; never inside a string. */
function withoutComment(line: string, isArm: boolean): string {
  if (isArm)
    return line.replace(/("(?:[^"\\]|\\.)*")|(?:@|\/\/).*$/g, (_whole, quoted: string | undefined) => quoted ?? '');
  if (!/[#/]/.test(line)) return line;
  return line.replace(/("(?:[^"\\]|\\.)*")|(?:#|\/\/).*$/g, (_whole, quoted: string | undefined) => quoted ?? '');
}

/** Adds what one directive writes to a section. */
function write(into: Building, name: string, rest: string, target: Target): void {
  const { bytes } = into;
  const size = name === '.word' ? (/^(aarch64|arm|riscv|mips)/.test(target.name) ? 4 : 2) : SIZES[name];
  if (size !== undefined) {
    for (const part of rest.split(',')) {
      const at = bytes.length;
      const value = integer(part);
      bytes.fill(0, size);
      if (value === undefined) into.fixups.push({ at, size, text: part.replaceAll(/[()]/g, '').trim() });
      else bytes.put(at, size, value, target.endian);
    }
    return;
  }
  switch (name) {
    case '.string':
    case '.asciz':
    case '.ascii':
      for (const quoted of rest.match(/"(?:[^"\\]|\\.)*"/g) ?? []) {
        bytes.push(...unquote(quoted));
        if (name !== '.ascii') bytes.push(0);
      }
      return;
    case '.uleb128':
    case '.sleb128':
      // Differences of labels stand in lists of locations, which nobody reads here; one byte keeps their place.
      for (const part of rest.split(',')) {
        bytes.push(...leb128(integer(part) ?? 0n, name === '.sleb128'));
      }
      return;
    case '.zero':
    case '.skip':
    case '.space': {
      const [count = '0', fill = '0'] = rest.split(',');
      const value = Number(integer(fill) ?? 0n) & 0xff;
      const length = Number(integer(count) ?? 0n);
      bytes.fill(value, length);
      return;
    }
    default:
  }
}

const NO_SECTION = '';

/**
 * Reads an assembly file.
 * @throws ExtractError `EXTRACT_ASSEMBLY` when something that is asked for is not there.
 */
export function readAssembly(text: string, target: Target): Assembly {
  const sections = new Map<string, Building>();
  const settings = new Map<string, number[]>();
  const places = new Map<string, string>();
  const budget = newBudget();
  const enter = (name: string, flags = ''): Building => {
    const known = sections.get(name);
    if (known !== undefined) return known;
    const fresh: Building = {
      bytes: new SectionBytes(budget, name.startsWith('.bss') || flags.includes('nobits')),
      labels: new Map(),
      fixups: [],
    };
    sections.set(name, fresh);
    return fresh;
  };
  let current = NO_SECTION;
  let building = enter(current);
  for (const raw of text.split('\n')) {
    let line = withoutComment(raw, target.name === 'arm').trim();
    const label = /^("[^"]*"|[\w.$]+):\s*/.exec(line);
    if (label?.[1] !== undefined) {
      building.labels.set(label[1], building.bytes.length);
      places.set(label[1], current);
      line = line.slice(label[0].length);
    }
    const [, name, rest = ''] = /^(\.[\w.]+)\s*(.*)$/.exec(line) ?? [];
    if (name === undefined) continue;
    switch (name) {
      case '.section':
        current = rest.split(',')[0]?.trim() ?? NO_SECTION;
        building = enter(current, rest);
        break;
      case '.text':
      case '.data':
      case '.bss':
        current = name;
        building = enter(current);
        break;
      case '.set': {
        const [symbol = '', value = ''] = rest.split(',');
        const list = settings.get(symbol.trim()) ?? [];
        list.push(Number(integer(value) ?? 0n));
        settings.set(symbol.trim(), list);
        break;
      }
      default:
        write(building, name, rest, target);
    }
  }
  const offsetOf = (name: string): bigint => {
    const place = places.get(name);
    const value = integer(name) ?? (place === undefined ? undefined : sections.get(place)?.labels.get(name));
    // The name of a section stands for its start.
    return value === undefined ? 0n : BigInt(value);
  };
  for (const { bytes, fixups } of sections.values()) {
    for (const { at, size, text: expression } of fixups) {
      let value = 0n;
      for (const [, sign, term] of expression.matchAll(/([+-]?)\s*([\w.$]+)/g)) {
        value += (sign === '-' ? -1n : 1n) * offsetOf(term ?? '');
      }
      bytes.put(at, size, value, target.endian);
    }
  }
  return {
    endian: target.endian,
    settings,
    labels: [...places.keys()],
    section(name) {
      const found = sections.get(name);
      if (found === undefined) throw new ExtractError('EXTRACT_ASSEMBLY', `the assembly has no section ${name}`);
      return { bytes: found.bytes.slice(), labels: found.labels };
    },
    object(label, count) {
      const place = places.get(label);
      const found = place === undefined ? undefined : sections.get(place);
      const start = found?.labels.get(label);
      if (found === undefined || start === undefined || start + count > found.bytes.length) {
        throw new ExtractError('EXTRACT_ASSEMBLY', `the assembly has no ${count} bytes of data at ${label}`);
      }
      return found.bytes.slice(start, start + count);
    },
  };
}
