import type { Description, Type, VariablePart } from '../layout/types.js';

/** The types inside a part; what is asked for later is none of them, as it may lead in circles. */
export function innerTypes(part: VariablePart): readonly Type[] {
  switch (part.form) {
    case 'list':
      return [part.element];
    case 'variant':
      return part.arms.map((arm) => arm.type);
    case 'optional':
    case 'pointed':
    case 'sized':
    case 'processed':
    case 'range':
    case 'checksum':
      return [part.type];
    default:
      return [];
  }
}

/** The path by which a part depends on an earlier field, or a number in its place. */
export function pathOf(part: VariablePart): string | number | undefined {
  switch (part.form) {
    case 'list':
      return part.count;
    case 'run':
    case 'sized':
    case 'processed':
      return part.length;
    case 'variant':
      return part.by;
    case 'pointed':
    case 'lazy':
      return part.at;
    case 'optional':
      return part.isThere.says?.path;
    default:
      return undefined;
  }
}

/** Whether a type goes on up to the end of what is there. */
export function isToEnd(type: Description): boolean {
  if (type.kind === 'struct') return type.variable === true && type.fields.some((item) => isToEnd(item.type));
  if (type.kind !== 'variable') return false;
  const { part } = type;
  switch (part.form) {
    case 'list':
      return (part.count === undefined && part.until === undefined) || isToEnd(part.element);
    case 'run':
      return part.length === undefined && part.terminator === undefined;
    case 'processed':
      return part.length === undefined;
    case 'optional':
    case 'variant':
      return innerTypes(part).some(isToEnd);
    default:
      return false;
  }
}
