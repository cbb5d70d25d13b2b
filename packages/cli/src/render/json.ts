const INDENT = '    ';

function block(open: string, items: readonly string[], close: string, indent: string): string {
  if (items.length === 0) return `${open}${close}`;
  return `${open}\n${items.map((item) => `${indent}${INDENT}${item}`).join(',\n')}\n${indent}${close}`;
}

/** Most texts: a pattern of Unicode's properties takes a millisecond to make. */
const PLAIN = /^[ -~]*$/;

function quoted(text: string): string {
  const json = JSON.stringify(text);
  if (PLAIN.test(json)) return json;
  // What JSON leaves alone and terminals, editors or logs act upon: controls, bidirectional formatting, line separators.
  return json.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, (character) =>
    Array.from({ length: character.length }, (_, index) => {
      const unit = character.charCodeAt(index);
      return `\\u${unit.toString(16).padStart(4, '0')}`;
    }).join(''),
  );
}

const plain = (value: bigint): string => value.toString();

/**
 * JSON with bigints as plain integers, as qemu-img prints sizes, and four spaces, as it indents. Fields that are
 * undefined are left out.
 * @param integer what a bigint becomes
 */
export function toJson(value: unknown, indent = '', integer = plain): string {
  if (typeof value === 'bigint') return integer(value);
  if (typeof value === 'string') return quoted(value);
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const inner = indent + INDENT;
  if (Array.isArray(value)) {
    const items = value.map((item: unknown) => toJson(item, inner, integer));
    return block('[', items, ']', indent);
  }
  const fields = Object.entries(value).filter(([, field]) => field !== undefined);
  const items = fields.map(([name, field]) => `${quoted(name)}: ${toJson(field, inner, integer)}`);
  return block('{', items, '}', indent);
}

/** The same on one line, for a record among others. */
export function toJsonLine(value: unknown): string {
  if (typeof value !== 'object' || value === null) return toJson(value);
  if (Array.isArray(value)) return `[${value.map(toJsonLine).join(',')}]`;
  const fields = Object.entries(value).filter(([, field]) => field !== undefined);
  return `{${fields.map(([name, field]) => `${quoted(name)}:${toJsonLine(field)}`).join(',')}}`;
}
