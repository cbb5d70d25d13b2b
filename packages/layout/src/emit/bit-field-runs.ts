import type { ResolvedField } from '../layout/resolved.js';

/** Bit fields of a C struct that lie on the same bytes. */
export interface BitFieldRun {
  /** First bit, a multiple of 8. */
  readonly from: number;
  /** First bit behind it, a multiple of 8. */
  readonly to: number;
  readonly fields: readonly ResolvedField[];
}

/** Cuts neighbouring bit fields, in memory order, at the bytes that no field crosses. */
export function bitFieldRuns(neighbours: readonly ResolvedField[]): BitFieldRun[] {
  const runs: BitFieldRun[] = [];
  let fields: ResolvedField[] = [];
  const close = (): void => {
    const [first] = fields;
    const last = fields.at(-1);
    if (first === undefined || last === undefined) return;
    runs.push({ from: Math.floor(first.bit / 8) * 8, to: Math.ceil((last.bit + last.type.bits) / 8) * 8, fields });
    fields = [];
  };
  for (const item of neighbours) {
    const last = fields.at(-1);
    const end = last === undefined ? 0 : last.bit + last.type.bits;
    if (Math.ceil(end / 8) * 8 <= item.bit) close();
    fields.push(item);
  }
  close();
  return runs;
}

/** A field's bits in the integer that its run is, counted from the least significant. */
export function shiftInRun(run: BitFieldRun, item: ResolvedField): number {
  const at = item.bit - run.from;
  const littleEndian = (item.type.kind === 'integer' || item.type.kind === 'boolean') && item.type.order === 'lsb';
  return littleEndian ? at : run.to - run.from - at - item.type.bits;
}
