import type { CField, CRecord, CType } from './c-types.js';
import type { Compiler } from './compiler.js';

// Up to version 14 and perhaps later, clang's debug information does not say of a bit field as wide as its type that it
// is one, and states only the byte where it begins. C forbids `sizeof` of a bit field, so the compiler's complaints say
// which ones they are; confirm learns the bit.

/** Every record of C types with the expression by which C knows it, and the fields that it names. */
function* recordsOf(
  types: readonly (readonly [name: string, type: CType])[],
): Generator<readonly [expression: string, record: CRecord]> {
  const seen = new Set<CType>();
  const left = types.map(([name, type]) => [`__typeof__(${name})`, type] as const);
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    const [expression, type] = next;
    if (type.kind === 'array') {
      left.push([`__typeof__((*(${expression} *)0)[0])`, type.element]);
      continue;
    }
    if (!('fields' in type) || seen.has(type)) continue;
    seen.add(type);
    yield [expression, type];
    for (const field of namedFields(type)) {
      if ('fields' in field.type || field.type.kind === 'array') {
        left.push([`__typeof__(((${expression} *)0)->${field.name ?? ''})`, field.type]);
      }
    }
  }
}

/** Fields that have a name in this scope: those of anonymous structs and unions too. */
function namedFields(record: CRecord): CField[] {
  return record.fields.flatMap((field) => {
    if (field.name !== undefined) return [field];
    return 'fields' in field.type ? namedFields(field.type) : [];
  });
}

/** Marks the bit fields that the debug information shows as ordinary fields; their bit is known to the byte only. */
export async function markFullWidth(
  compiler: Compiler,
  types: readonly (readonly [name: string, type: CType])[],
): Promise<void> {
  const lines: string[] = [];
  const asked: (CField | undefined)[] = [];
  for (const [expression, record] of recordsOf(types)) {
    lines.push(`typedef ${expression} instar_${lines.length};`);
    asked.push(undefined);
    const name = `instar_${lines.length - 1}`;
    for (const field of namedFields(record)) {
      if (field.width !== undefined || !('values' in field.type)) continue;
      lines.push(`char instar_${lines.length}[sizeof(((${name} *)0)->${field.name ?? ''})];`);
      asked.push(field);
    }
  }
  const complaints = await compiler.complaints(`${lines.join('\n')}\n`, ['-ferror-limit=0']);
  for (const [, line] of complaints.matchAll(/^<stdin>:(\d+):\d+: error: .*bit-field/gm)) {
    const field = asked[Number(line) - 1];
    if (field === undefined || !('values' in field.type)) continue;
    field.width = field.type.size * 8;
    field.byteOnly = true;
  }
}
