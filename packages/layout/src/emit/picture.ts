import {
  byteSize,
  type ResolvedField,
  type ResolvedNamed,
  type ResolvedStruct,
  type ResolvedType,
} from '../layout/resolved.js';
import { bitFieldRuns, shiftInRun } from './bit-field-runs.js';

/** A cell of a picture: a field, a part of one, or a gap. */
export interface Cell {
  /** Empty for a gap. */
  readonly label: string;
  readonly type: string;
  /** First column. */
  readonly from: number;
  /** First column behind it. */
  readonly to: number;
  readonly kind: 'field' | 'padding';
  /** Number of the field in its type, for colours; the same in each row that it has a part of. */
  readonly index: number;
  /** Whether the field began in an earlier row. */
  readonly continued: boolean;
}

/** A row: so many bytes, or so many bits of one integer. */
export interface Row {
  /** What stands at the left: the byte offset of the row. */
  readonly offset: string;
  /** Numbers of the columns, where this row has others than the row above. */
  readonly numbers: readonly string[] | undefined;
  readonly cells: readonly Cell[];
  /** Set where rows that look the same are left out before this one: how many bytes. */
  readonly skipped: number;
}

/** A picture of one type. All rows are of the same width; a column is a part of it. */
export interface Picture {
  readonly title: string;
  readonly about: string;
  readonly rows: readonly Row[];
}

const BYTES_IN_ROW = 8;
const BITS_IN_ROW = 32;

/** A piece of memory with one meaning, in bytes or in bits. */
interface Span {
  readonly label: string;
  readonly type: string;
  readonly from: number;
  readonly to: number;
  readonly kind: Cell['kind'];
  readonly index: number;
}

/** How a type is called beside a field. */
export function typeName(type: ResolvedType): string {
  switch (type.kind) {
    case 'integer':
      if (type.pointer !== undefined) return `${type.pointer} *`;
      return `${type.signed ? 'i' : 'u'}${type.bits}`;
    case 'float':
      return `f${type.bits}`;
    case 'boolean':
      return 'bool';
    case 'bytes':
      return `u8[${byteSize(type)}]`;
    case 'text':
      return `text[${byteSize(type)}]`;
    case 'array':
      return `${typeName(type.element)}[${type.count}]`;
    default:
      return type.name;
  }
}

/** The picture of a named type: bytes for C structs, bits for what is packed to the bit. */
export function pictureOf(type: ResolvedNamed): Picture {
  const size = type.bits % 8 === 0 ? `${type.bits / 8} bytes` : `${type.bits} bits`;
  const title = type.name;
  switch (type.kind) {
    case 'integral': {
      const spans = type.fields.map((item, index): Span => {
        const from = type.bits - item.shift - item.width;
        return { label: item.name, type: typeName(item.type), from, to: from + item.width, kind: 'field', index };
      });
      return {
        title,
        about: `one integer of ${type.bits} bits, bit ${type.bits - 1} first`,
        rows: bitRows(spans, type.bits, 0, true),
      };
    }
    case 'struct': {
      const about = `${size}, alignment ${type.align}`;
      return { title, about, rows: type.source.packing === 'bits' ? bitsPicture(type) : bytesPicture(type) };
    }
    case 'union':
      return {
        title,
        about: `${size}, alignment ${type.align}; one of`,
        rows: type.arms.flatMap((arm, index) => armRows(arm.name, arm.type, index, type.bits)),
      };
    case 'tagged':
      return {
        title,
        about: `${size}; one of, chosen by ${type.by.join('.')}`,
        rows: type.arms.flatMap((arm, index) => armRows(`${arm.tag}: ${arm.name}`, arm.type, index, type.bits)),
      };
  }
}

function armRows(label: string, type: ResolvedType, index: number, bits: number): Row[] {
  const span: Span = { label, type: typeName(type), from: 0, to: byteSize(type), kind: 'field', index };
  return byteRows(withGaps([span], Math.ceil(bits / 8), 1000 + index), 0).map((row, at) =>
    index > 0 && at === 0 ? { ...row, numbers: undefined } : row,
  );
}

/** Spans with what lies between them. */
function withGaps(spans: readonly Span[], end: number, firstIndex: number): Span[] {
  const result: Span[] = [];
  let at = 0;
  let index = firstIndex;
  const gap = (to: number): void => {
    if (to <= at) return;
    result.push({ label: '', type: '', from: at, to, kind: 'padding', index });
    index += 1;
  };
  for (const span of [...spans].sort((a, b) => a.from - b.from)) {
    gap(span.from);
    result.push(span);
    at = Math.max(at, span.to);
  }
  gap(end);
  return result;
}

function bitsPicture(type: ResolvedStruct): Row[] {
  const spans = type.fields.map((item, index): Span => {
    return {
      label: item.name,
      type: typeName(item.type),
      from: item.bit,
      to: item.bit + item.type.bits,
      kind: 'field',
      index,
    };
  });
  return bitRows(withGaps(spans, type.bits, spans.length), type.bits, 0, false);
}

/** C structs: rows of bytes, and a row of bits for each integer that bit fields share. */
function bytesPicture(type: ResolvedStruct): Row[] {
  const rows: Row[] = [];
  let spans: Span[] = [];
  let from = 0;
  let run: ResolvedField[] = [];
  const flushBytes = (end: number): void => {
    const moved = spans.map((span) => ({ ...span, from: span.from - from, to: span.to - from }));
    if (end > from) rows.push(...byteRows(withGaps(moved, end - from, 1000 + rows.length), from));
    spans = [];
    from = end;
  };
  const flushRun = (): void => {
    for (const part of bitFieldRuns(run)) {
      flushBytes(part.from / 8);
      const width = part.to - part.from;
      const bits = part.fields.map((item): Span => {
        const at = width - shiftInRun(part, item) - item.type.bits;
        const index = type.fields.indexOf(item);
        const kind = item.unnamed ? 'padding' : 'field';
        return {
          label: item.unnamed ? '' : item.name,
          type: typeName(item.type),
          from: at,
          to: at + item.type.bits,
          kind,
          index,
        };
      });
      rows.push(...bitRows(withGaps(bits, width, 1000 + rows.length), width, part.from / 8, true));
      from = part.to / 8;
    }
    run = [];
  };
  type.fields.forEach((item, index) => {
    const isBitField =
      (item.type.kind === 'integer' || item.type.kind === 'boolean') && item.type.declaredBits !== undefined;
    if (isBitField) {
      if (item.type.bits > 0) run.push(item);
      return;
    }
    flushRun();
    if (item.type.bits === 0) return;
    const kind = item.value !== undefined && BigInt(item.value) === 0n ? 'padding' : 'field';
    spans.push({
      label: item.name,
      type: typeName(item.type),
      from: item.offset,
      to: item.offset + byteSize(item.type),
      kind,
      index,
    });
  });
  flushRun();
  flushBytes(type.bits / 8);
  return rows;
}

const hex = (value: number): string => `0x${value.toString(16).padStart(3, '0')}`;

/** Cells of one row after the other. Spans stand in the order of their places, and none lies on another. */
class RowCutter {
  readonly #spans: readonly Span[];
  /** Columns of a byte or bit. */
  readonly #columns: number;
  #first = 0;

  constructor(spans: readonly Span[], columns: number) {
    this.#spans = spans;
    this.#columns = columns;
  }

  /** The cells of the row from `at` to `end`; rows must be asked for in order. */
  cells(at: number, end: number): Cell[] {
    while ((this.#spans[this.#first]?.to ?? Infinity) <= at) this.#first += 1;
    const cells: Cell[] = [];
    for (let index = this.#first; index < this.#spans.length; index += 1) {
      const span = this.#spans[index];
      if (span === undefined || span.from >= end) break;
      const [from, to] = [Math.max(span.from, at) - at, Math.min(span.to, end) - at];
      cells.push({ ...span, from: from * this.#columns, to: to * this.#columns, continued: span.from < at });
    }
    return cells;
  }

  /** Of a row that one field fills: how much of it and of those behind it may be left out, so that its last row stays. */
  skippable(at: number, width: number, cells: readonly Cell[]): number {
    const [only] = cells;
    const to = this.#spans[this.#first]?.to ?? 0;
    if (cells.length !== 1 || only?.continued !== true || to < at + 2 * width) return 0;
    return (Math.floor((to - at) / width) - 1) * width;
  }
}

/** Rows of bytes that begin at a byte of the struct; rows that one field fills are left out where there are many. */
function byteRows(spans: readonly Span[], start: number): Row[] {
  const end = spans.at(-1)?.to ?? 0;
  // A struct of fewer bytes than a row has is one row of its own width.
  const width = end <= 4 && start === 0 ? Math.max(1, end) : BYTES_IN_ROW;
  const numbers = Array.from({ length: width }, (_, index) => String(index));
  const cutter = new RowCutter(spans, 64 / width);
  const rows: Row[] = [];
  for (let at = 0; at < end; at += width) {
    let cells = cutter.cells(at, at + width);
    const skipped = cutter.skippable(at, width, cells);
    at += skipped;
    if (skipped > 0) cells = cutter.cells(at, at + width);
    rows.push({ offset: hex(start + at), numbers: rows.length === 0 ? numbers : undefined, cells, skipped });
  }
  return rows;
}

/** Rows of up to 32 bits. */
function bitRows(spans: readonly Span[], bits: number, offset: number, descending: boolean): Row[] {
  const width = Math.min(bits, BITS_IN_ROW);
  const cutter = new RowCutter(spans, 64 / width);
  const rows: Row[] = [];
  for (let at = 0; at < bits; at += width) {
    let cells = cutter.cells(at, Math.min(bits, at + width));
    const skipped = cutter.skippable(at, width, cells);
    at += skipped;
    const count = Math.min(width, bits - at);
    if (skipped > 0) cells = cutter.cells(at, at + count);
    const numbers = Array.from({ length: count }, (_, index) =>
      String(descending ? bits - 1 - at - index : at + index),
    );
    rows.push({ offset: descending ? hex(offset) : hex(Math.floor(at / 8)), numbers, cells, skipped: skipped / 8 });
  }
  return rows;
}
