import { isIdentifier } from '../layout/names.js';
import { resolve } from '../layout/resolve.js';
import { byteSize } from '../layout/resolved.js';
import type { Target } from '../layout/target.js';
import type { Description, FieldDescription, StructDescription, TaggedDescription, Type } from '../layout/types.js';
import { isVariable } from '../variable/describe.js';
import { isToEnd } from '../variable/parts.js';
import { PathScope, comparedText, isClosed } from './poke-paths.js';
import { alignmentOf, anywhereIn, behind, isMultiple, type Position } from './poke-places.js';
import { constraintText, docText, numberText, pokeName, typeText, unsupported } from './poke-text.js';

// Structs whose parts vary, as GNU poke 2.4 says them. What a struct inside takes from one around it, it takes as the
// functions of a language do: its type is declared in the struct around it then, behind the fields that it asks. Things that
// GNU poke does otherwise than its manual says were seen by running it: an optional field is read before its condition is
// asked, so that one which is not there is an array without elements here; and each alternative of a union is read before its
// constraint is looked at, so that a field without bytes stands before it and has the constraint.

type Part<F> = Extract<Extract<Description, { kind: 'variable' }>['part'], { readonly form: F }>;

/** How a type is written, and what must be true of a value; `name` is what the value is called where that is said. */
interface Spec {
  readonly text: string;
  readonly constraint?: (name: string) => string;
}

/** Where a type is written. */
interface Place {
  readonly scopes: readonly PathScope[];
  /** Where its value begins. */
  readonly at: Position;
  /** The bytes that are left for it, as an offset; undefined where nothing but the end of the file bounds it. */
  readonly left: string | undefined;
  /** Lines of the struct around it, before the field. */
  readonly lines: string[];
}

/** Writes the declarations of structs whose parts vary. */
export class VariablePickle {
  readonly #target: Target;
  /** Names that are taken. */
  readonly #names: Set<string>;
  /** Types that a pickle is for: offsets in them are counted from the start of the file. */
  readonly #roots: ReadonlySet<Description>;
  /** Declarations that stand before all others. */
  readonly helpers = new Map<string, readonly string[]>();
  #numbers = 0;

  constructor(target: Target, names: Iterable<string>, roots: Iterable<Description>) {
    this.#target = target;
    this.#names = new Set(names);
    this.#roots = new Set(roots);
  }

  /** The lines of a type's declaration; none for one that only the struct around it can declare. */
  declaration(type: StructDescription): string[] {
    if (!isClosed(type)) {
      if (this.#roots.has(type))
        throw unsupported(type.name, 'found a path that leads out of it, expected its own fields');
      return [];
    }
    const isRoot = this.#roots.has(type);
    const start: Position = isRoot ? [0, 0] : [alignmentOf(type), 0];
    const body = this.#body(type, [], start, undefined, undefined, isRoot);
    return [`type ${pokeName(type.name)} =`, '  struct', '{', ...body, '};'];
  }

  #fresh(stem: string): string {
    let name = stem;
    for (let number = 2; this.#names.has(name); number += 1) name = `${stem}_${number}`;
    this.#names.add(name);
    return name;
  }

  #number(): number {
    this.#numbers += 1;
    return this.#numbers - 1;
  }

  /**
   * The fields of a struct.
   * @param left the bytes that are left for it, counted from its start; undefined up to the end of the file
   * @param size what it must fill
   */
  #body(
    type: StructDescription,
    around: readonly PathScope[],
    start: Position,
    left: string | undefined,
    size: string | undefined,
    isRoot: boolean,
  ): string[] {
    const scope = new PathScope();
    const scopes = [...around, scope];
    const lines: string[] = [];
    let at = start;
    for (const item of type.fields) {
      const path = `${type.name}.${item.name}`;
      const rest = left === undefined ? undefined : `${left} - OFFSET`;
      const place: Place = { scopes, at, left: rest, lines };
      const { part } = item.type.kind === 'variable' ? item.type : {};
      if (part?.form === 'pointed') this.#pointed(item, part, path, place, isRoot);
      else if (part?.form === 'align') this.#align(item, part, path, place);
      else if (item.type.kind === 'tagged') this.#tagged(item, item.type, path, place);
      else lines.push(this.#field(item, this.#spec(item.type, path, place)));
      scope.add(item);
      at = behind(at, item.type, this.#target);
    }
    if (size !== undefined) lines.push(`uint<8>[0] end_ : OFFSET == ${size};`);
    return lines.map((line) => `  ${line}`);
  }

  #field(item: FieldDescription, { text, constraint }: Spec, label = ''): string {
    const name = pokeName(item.name);
    const own = constraintText(item);
    const more = constraint === undefined ? '' : `${own === '' ? ' :' : ' &&'} ${constraint(name)}`;
    return `${text} ${name}${own}${more}${label};${docText(item.doc)}`;
  }

  #pointed(item: FieldDescription, part: Part<'pointed'>, path: string, place: Place, isRoot: boolean): void {
    if (!isRoot) {
      throw unsupported(
        path,
        'found a value elsewhere in a struct inside another, where GNU poke counts from its start',
      );
    }
    const back = this.#number();
    const spec = this.#spec(part.type, path, { ...place, at: [1, 0], left: undefined });
    const offset = this.#bytesText(part.at, path, place);
    place.lines.push(
      `var at${back}_ = OFFSET;`,
      this.#field(item, spec, ` @ ${offset}`),
      `uint<8>[0] back${back}_ @ at${back}_;`,
    );
  }

  #align(item: FieldDescription, part: Part<'align'>, path: string, place: Place): void {
    if (!isMultiple(place.at, 1)) throw unsupported(path, 'found an alignment within a byte');
    place.lines.push(this.#field(item, { text: `uint<8>[alignto (OFFSET, ${part.to}#B)]` }));
  }

  /** A tagged union of a fixed size: the arm that there is, and what is left of the size. */
  #tagged(item: FieldDescription, type: TaggedDescription, path: string, place: Place): void {
    const size = byteSize(resolve(type, this.#target));
    const arms = type.arms.map((arm) => ({ name: arm.name, tag: BigInt(arm.tag), type: arm.type }));
    const spec = this.#arms(pokeName(type.name), type.by.join('.'), arms, path, { ...place, left: undefined });
    place.lines.push(
      this.#field(item, spec),
      `uint<8>[${size}#B - ${pokeName(item.name)}'size] pad${this.#number()}_;`,
    );
  }

  #spec(type: Type, path: string, place: Place): Spec {
    if (type.kind === 'variable') return this.#part(type.part, path, place);
    if (isVariable(type) && type.kind === 'struct') return this.#struct(type, path, place, undefined);
    if (type.kind === 'bitField') throw unsupported(path, 'found a C bit field beside parts that vary');
    if (type.kind === 'tagged') throw unsupported(path, 'a tagged union can only be a field of a struct');
    if (resolve(type, this.#target).bits % 8 !== 0) {
      throw unsupported(path, 'found a type that ends within a byte beside parts that vary');
    }
    return { text: typeText(type, this.#target, path) };
  }

  /**
   * A struct whose parts vary: by its name, or declared before the field where it takes something from around it.
   * @param size the variable with what it must fill, where it must
   */
  #struct(type: StructDescription, path: string, place: Place, size: string | undefined): Spec {
    if (!isMultiple(place.at, alignmentOf(type))) {
      throw unsupported(
        path,
        'found an alignment in a struct that may begin anywhere, where GNU poke counts from its start',
      );
    }
    const isBounded = isToEnd(type) && (place.left !== undefined || size !== undefined);
    // A constraint cannot ask for the size: there, GNU poke 2.4 counts arrays as if they were empty.
    if (isClosed(type) && !isBounded && size === undefined) return { text: pokeName(type.name) };
    const left = isBounded ? (size ?? this.#kept('left', place)) : undefined;
    const body = this.#body(type, place.scopes, place.at, left, size, false);
    return { text: this.#declared(type.name, 'struct', body, place) };
  }

  /** A variable with the bytes that are left. */
  #kept(name: string, { left, lines }: Place): string | undefined {
    if (left === undefined) return undefined;
    const variable = `${name}${this.#number()}_`;
    lines.push(`var ${variable} = ${left};`);
    return variable;
  }

  /** A place inside a type of its own, where the bytes that are left are kept if they are asked for. */
  #keeping(isWanted: boolean, place: Place): Place {
    return { ...place, left: isWanted ? this.#kept('left', place) : undefined };
  }

  #declared(name: string, kind: 'struct' | 'union', body: readonly string[], place: Place): string {
    const fresh = this.#fresh(pokeName(name));
    place.lines.push(`type ${fresh} =`, `  ${kind}`, '{', ...body, '};');
    return fresh;
  }

  /** A type that can be an element of an array: without a constraint, and without a byte order of its own. */
  #element(type: Type, path: string, place: Place): string {
    const { text, constraint } = this.#spec(type, path, place);
    const hasOrder = (type.kind === 'integer' || type.kind === 'float') && type.endian !== undefined;
    if (constraint === undefined && !hasOrder) return text;
    const is = constraint === undefined ? '' : ` : ${constraint('value')}`;
    return this.#declared('element', 'struct', [`  ${text} value${is};`], place);
  }

  #part(part: Extract<Description, { kind: 'variable' }>['part'], path: string, place: Place): Spec {
    switch (part.form) {
      case 'list':
        return this.#list(part, path, place, place.left);
      case 'run':
        return this.#run(part, path, place, place.left);
      case 'optional': {
        const { says } = part.isThere;
        if (says === undefined) {
          throw unsupported(path, 'found a part that a function chooses, expected a comparison (`when`)');
        }
        const is = comparedText(this.#find(says.path, path, place), says);
        const inner = this.#keeping(isToEnd(part.type), place);
        return { text: `${this.#element(part.type, path, inner)}[${is} ? 1 : 0]` };
      }
      case 'variant':
        return this.#arms(path.split('.').at(-1) ?? 'arms', part.by, part.arms, path, place);
      case 'sized':
        return this.#sized(part, path, place);
      case 'magic': {
        const bytes = Array.from(part.expected, (byte) => `${byte}UB`).join(', ');
        const text = `uint<8>[${part.expected.length}]`;
        return bytes === '' ? { text } : { text, constraint: (name) => `${name} == [${bytes}]` };
      }
      case 'checksum':
        return this.#spec(part.type, path, place);
      case 'digest':
        return { text: `uint<8>[${part.digest.size}]` };
      case 'range': {
        const { type, least, most } = part;
        const bounds = (name: string): string =>
          [
            ...(least === undefined ? [] : [comparedText({ text: name, type }, { operator: '>=', number: least })]),
            ...(most === undefined ? [] : [comparedText({ text: name, type }, { operator: '<=', number: most })]),
          ].join(' && ');
        return { text: this.#spec(type, path, place).text, constraint: bounds };
      }
      case 'lazy':
        throw unsupported(path, 'found a part that is read when it is asked for');
      case 'processed':
        throw unsupported(path, 'found a part that a function of the program unpacks');
      case 'align':
        throw unsupported(path, 'found an alignment elsewhere than as a field');
      case 'pointed':
        throw unsupported(path, 'found a part that is elsewhere, expected it as a field');
    }
  }

  #list(part: Part<'list'>, path: string, place: Place, left: string | undefined): Spec {
    if (part.until !== undefined) throw unsupported(path, 'found a list that a function ends');
    if (isToEnd(part.element)) throw unsupported(path, 'found a list of elements that go up to the end');
    const at = anywhereIn(place.at, part.element, this.#target);
    const element = this.#element(part.element, path, { ...place, at, left: undefined });
    return {
      text: `${element}[${part.count === undefined ? (left ?? '') : this.#numberText(part.count, path, place)}]`,
    };
  }

  #run(part: Part<'run'>, path: string, place: Place, left: string | undefined): Spec {
    const { terminator, length } = part;
    if (terminator === 0) return { text: 'string' };
    if (terminator !== undefined) {
      const [byte, name] = [`byte_but_${terminator}`, `until_${terminator}`];
      this.helpers.set(name, [
        `type ${byte} = struct { uint<8> byte : byte != ${terminator}UB; };`,
        `type ${name} = struct { ${byte}[] bytes; uint<8> end : end == ${terminator}UB; };`,
        '',
      ]);
      return { text: name };
    }
    return { text: `uint<8>[${length === undefined ? (left ?? '') : this.#numberText(length, path, place)}]` };
  }

  #sized(part: Part<'sized'>, path: string, place: Place): Spec {
    const inner = part.type;
    const size = this.#bytesText(part.length, path, place);
    if (inner.kind === 'variable' && inner.part.form === 'list' && inner.part.count === undefined) {
      return this.#list(inner.part, path, place, size);
    }
    if (inner.kind === 'variable' && inner.part.form === 'run' && isToEnd(inner)) {
      return this.#run(inner.part, path, place, size);
    }
    const kept = this.#kept('size', { ...place, left: size }) ?? '';
    if (inner.kind === 'struct' && isVariable(inner)) return this.#struct(inner, path, place, kept);
    const { text, constraint } = this.#spec(inner, path, { ...place, left: kept });
    const is = constraint === undefined ? '' : ` : ${constraint('value')}`;
    const body = [`  ${text} value${is};`, `  uint<8>[0] end_ : OFFSET == ${kept};`];
    return { text: this.#declared('sized', 'struct', body, place) };
  }

  #arms(
    name: string,
    by: string,
    arms: readonly { readonly name: string; readonly tag: bigint | undefined; readonly type: Type }[],
    path: string,
    place: Place,
  ): Spec {
    const tag = this.#find(by, path, place);
    const is = (value: bigint): string => comparedText(tag, { operator: '==', number: value });
    const tags = arms.flatMap((arm) => (arm.tag === undefined ? [] : [arm.tag]));
    const others = tags.length === 0 ? '1' : `!(${tags.map(is).join(' || ')})`;
    const inner = this.#keeping(
      arms.some((arm) => isToEnd(arm.type)),
      place,
    );
    const body = arms.flatMap((arm) => {
      if (!isIdentifier(arm.name)) {
        throw unsupported(path, `found the arm ${JSON.stringify(arm.name)}, expected a name`);
      }
      const { text, constraint } = this.#spec(arm.type, `${path}.${arm.name}`, inner);
      const more = constraint === undefined ? '' : ` : ${constraint('value')}`;
      return [
        '  struct',
        '  {',
        `    uint<8>[0] is_ : ${arm.tag === undefined ? others : is(arm.tag)};`,
        `    ${text} value${more};`,
        `  } ${pokeName(arm.name)};`,
      ];
    });
    return { text: this.#declared(`${name}_arms`, 'union', body, place) };
  }

  #find(by: string, path: string, { scopes }: Place): { readonly text: string; readonly type: Type } {
    return PathScope.find(scopes, by, path);
  }

  #numberText(from: string | number, path: string, place: Place): string {
    return typeof from === 'number' ? numberText(from) : this.#find(from, path, place).text;
  }

  /** A number of bytes, as an offset. */
  #bytesText(from: string | number, path: string, place: Place): string {
    if (typeof from === 'number') return `${numberText(from)}#B`;
    return `(${this.#find(from, path, place).text} as uint<64>)#B`;
  }
}
