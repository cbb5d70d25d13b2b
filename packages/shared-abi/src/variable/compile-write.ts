import { checkKeys } from '../codec/integers.js';
import { writeValue } from '../codec/interpret.js';
import { textAsBytes } from '../codec/text.js';
import type { Generator } from '../codec/generate.js';
import { byteSize, type ResolvedType } from '../layout/resolved.js';
import type { Target } from '../layout/target.js';
import type {
  FieldDescription,
  Process,
  StructDescription,
  TextEncoding,
  Type,
  VariablePart,
} from '../layout/types.js';
import {
  BAIL,
  constantCode,
  Code,
  follow,
  hasFixedSize,
  isVariableStruct,
  leafOf,
  Measure,
  nameCode,
  NotCompiled,
  numberCode,
  sumsOf,
  tagCode,
  type Part,
} from './compile.js';
import { isNumber, sumOf } from './read.js';
import { knownKeys, MOST_GAP, partOf, put, VariableWriter } from './write.js';

/** Encodes a value. */
export type WriteVariable = (value: unknown) => Uint8Array<ArrayBuffer>;

type Fields = Readonly<Record<string, unknown>>;
/** Where the bytes of a sum are, its own, and what it is to be; nothing where that follows. */
type SumPlace = readonly [from: number, to: number, own: number, wanted: unknown];

/** Memory that one codec writes into; it is zeros where no value is being written. */
class Scratch {
  #bytes: Uint8Array<ArrayBuffer> | undefined;

  take(): Uint8Array<ArrayBuffer> {
    const bytes = this.#bytes ?? new Uint8Array(1024);
    this.#bytes = undefined;
    return bytes;
  }

  /** A larger one with the same beginning. */
  grow(bytes: Uint8Array, used: number, needed: number): Uint8Array<ArrayBuffer> {
    const larger = new Uint8Array(Math.max(needed, bytes.length * 2));
    larger.set(bytes.subarray(0, used));
    return larger;
  }

  give(bytes: Uint8Array<ArrayBuffer>, used: number): Uint8Array<ArrayBuffer> {
    const result = bytes.slice(0, used);
    if (bytes.length <= MOST_KEPT) this.#bytes = bytes.fill(0, 0, used);
    return result;
  }
}

/** Bytes of memory that a codec keeps from one value to the next. */
const MOST_KEPT = 65_536;

function helpersFor(target: Target) {
  return {
    keys: (fields: readonly FieldDescription[], given: Fields): void => {
      checkKeys(fields.flatMap(knownKeys), given, '', 0);
    },
    write: (type: ResolvedType, view: DataView, byte: number, value: unknown, around: Fields): void => {
      writeValue(type, view, byte * 8, value, '', around);
    },
    put,
    partOf,
    text: (encoding: TextEncoding, value: unknown): Uint8Array => textAsBytes(encoding, value, '', 0),
    isSame: (value: unknown, expected: Uint8Array): boolean =>
      value instanceof Uint8Array &&
      value.length === expected.length &&
      expected.every((byte, index) => byte === value[index]),
    processed: (process: Process, type: Type, value: unknown): Uint8Array =>
      process.encode(new VariableWriter(target).whole(type, value, '')),
    digest(part: Part<'digest'>, bytes: Uint8Array, [from, to, own, wanted]: SumPlace): void {
      bytes.fill(0, own, own + part.digest.size);
      const digest = part.digest.of(bytes.slice(from, to));
      if (wanted !== undefined && !this.isSame(wanted, digest)) throw BAIL;
      bytes.set(digest, own);
    },
    checksum(part: Part<'checksum'>, type: ResolvedType, bytes: Uint8Array, view: DataView, place: SumPlace): void {
      const [from, to, own, wanted] = place;
      bytes.fill(0, own, own + byteSize(type));
      const sum = sumOf(part.algorithm, bytes.slice(from, to));
      if (wanted !== undefined && !isNumber(wanted, sum)) throw BAIL;
      writeValue(type, view, own * 8, part.type.bits > 32 ? BigInt(sum) : Number(sum), '');
    },
  };
}

/** A field that another part says something of. */
interface Claimed {
  /** The variable with what was given, or follows. */
  readonly code: string;
  /** The variable with its place. */
  readonly at: string;
  readonly type: Type;
}

/** A struct that is being written. */
interface Scope {
  readonly type: StructDescription;
  /** The variable with what was given. */
  readonly object: string;
  readonly claimed: Map<string, Claimed>;
}

type Scopes = readonly Scope[];

/** Generates the statements that write a value. `b` are the bytes and `v` their view, `n` of them; `p` is the next. */
class WriteCompiler extends Code {
  readonly #helpers: string;
  readonly #scratch: string;
  /** First names of all paths: fields that others may say something of. */
  readonly #claims: ReadonlySet<string>;
  /** Whether something is written behind the rest; sums wait for it then. */
  readonly #isDeferred: boolean;

  constructor(generator: Generator, target: Target, root: Type) {
    super(generator, target);
    this.#helpers = this.typed(helpersFor(target));
    this.#scratch = this.typed(new Scratch());
    const found = { claims: new Set<string>(), isDeferred: false };
    survey(root, found, new Measure());
    this.#claims = found.claims;
    this.#isDeferred = found.isDeferred;
  }

  whole(type: Type): WriteVariable {
    const scratch = this.#scratch;
    this.#write(type, 'x', []);
    const late = this.#isDeferred;
    const queues = late ? 'const Q=[],Z=[];' : '';
    const head = `const o=0;let b=${scratch}.take(),v=new DataView(b.buffer),n=b.length,p=0;${queues}`;
    if (late) this.emit('for(let i=0;i<Q.length;i++)Q[i]();for(const z of Z)z();');
    return this.make('x', head, `${scratch}.give(b,p)`) as WriteVariable;
  }

  /** Room for so many bytes; the result is a variable with the place of the first. */
  #room(count: string): string {
    this.emit(`if(p+${count}>n){b=${this.#scratch}.grow(b,p,p+${count});v=new DataView(b.buffer);n=b.length;}`);
    const at = this.keep('p');
    this.emit(`p+=${count};`);
    return at;
  }

  #write(type: Type, value: string, scopes: Scopes): void {
    this.measure.inside(() => {
      if (type.kind === 'variable') this.#part(type.part, value, scopes);
      else if (isVariableStruct(type)) this.#struct(type, value, scopes);
      else {
        const layout = this.resolved(type);
        this.#fixed(layout, this.#room(numberCode(byteSize(layout))), 0, value, undefined, scopes);
      }
    });
  }

  #fixed(
    layout: ResolvedType,
    at: string,
    offset: number,
    value: string,
    constant: number | bigint | undefined,
    scopes: Scopes,
  ): void {
    const place = { base: at, bit: offset * 8 };
    if (constant !== undefined && layout.kind === 'integer') {
      const [given, expected] = [this.keep(value), constantCode(constant)];
      this.emit(`if(${given}!==undefined&&${given}!==${expected})S();`);
      this.generator.write(layout, place, expected);
    } else if (constant !== undefined || (layout.kind === 'struct' && layout.fields.some((item) => item.anonymous))) {
      throw new NotCompiled();
    } else if (layout.kind === 'tagged' || layout.kind === 'union') {
      this.emit(`${this.#helpers}.write(${this.typed(layout)},v,${at}+${offset},${value},${this.#around(scopes)});`);
    } else {
      this.generator.write(layout, place, value);
    }
  }

  /** What was given of the innermost struct, and what follows from it. */
  #around(scopes: Scopes): string {
    const scope = scopes.at(-1);
    if (scope === undefined) return '{}';
    const claimed = [...scope.claimed].map(([name, { code }]) => `${name}:${code}`);
    return `{...${scope.object},${claimed.join(',')}}`;
  }

  #struct(type: StructDescription, value: string, around: Scopes): void {
    const object = this.object(value);
    const scope: Scope = { type, object, claimed: new Map() };
    const scopes = [...around, scope];
    const sums = sumsOf(type);
    const marked = new Set(sums.flatMap(({ name, part }) => [name, part.first, part.last]));
    const places = new Map<string, readonly [from: string, to: string]>();
    const note = (name: string, from: string, to: string): void => {
      if (marked.has(name)) places.set(name, [from, to]);
    };
    let run: FieldDescription[] = [];
    for (const item of type.fields) {
      if (hasFixedSize(item.type) && item.anonymous !== true) {
        run.push(item);
        continue;
      }
      this.#run(run, scopes, scope, note);
      run = [];
      if (item.value !== undefined) throw new NotCompiled();
      const from = marked.has(item.name) ? this.keep('p') : '';
      const own = item.anonymous === true ? this.#memberOf(item.type, scopes) : `${object}.${nameCode(item)}`;
      this.#write(item.type, own, scopes);
      if (from !== '') note(item.name, from, this.keep('p'));
    }
    this.#run(run, scopes, scope, note);
    const left = type.fields.map((item) => `${object}.${nameCode(item)}===undefined`).join('||');
    if (left !== '') this.emit(`if(${left})${this.#helpers}.keys(${this.typed(type.fields)},${object});`);
    for (const item of type.fields) {
      if (item.type.kind !== 'variable' || item.type.part.form !== 'optional') continue;
      const is = `${this.typed(item.type.part)}.isThere(${this.#around(scopes)})`;
      this.emit(`if(${is}!==(${object}.${item.name}!==undefined))S();`);
    }
    for (const { name, part } of sums) {
      const [first, last, own] = [places.get(part.first), places.get(part.last), places.get(name)];
      if (first === undefined || last === undefined || own === undefined) throw new NotCompiled();
      const wanted = scope.claimed.get(name)?.code ?? `${object}.${name}`;
      const place = this.fresh();
      this.emit(`const ${place}=[${first[0]},${last[1]},${own[0]},${wanted}];if(${place}[1]<${place}[0])S();`);
      const sum =
        part.form === 'digest'
          ? `${this.#helpers}.digest(${this.typed(part)},b,${place});`
          : `${this.#helpers}.checksum(${this.typed(part)},${this.typed(this.resolved(part.type))},b,v,${place});`;
      this.emit(this.#isDeferred ? `Z.push(()=>{${sum}});` : sum);
    }
  }

  /** A variable with what was given of an anonymous member. */
  #memberOf(type: Type, scopes: Scopes): string {
    return this.keep(`${this.#helpers}.partOf(${this.typed(type)},${this.#around(scopes)})`);
  }

  /** Fields of a fixed size that follow each other. */
  #run(
    run: readonly FieldDescription[],
    scopes: Scopes,
    { object }: Scope,
    note: (name: string, from: string, to: string) => void,
  ): void {
    if (run.length === 0) return;
    let size = 0;
    const placed = run.map((item) => {
      const layout = this.resolved(item.type);
      size += byteSize(layout);
      return { item, layout, from: size - byteSize(layout), to: size };
    });
    const at = this.#room(numberCode(size));
    for (const { item, layout, from, to } of placed) {
      this.measure.inside(() => {
        const name = nameCode(item);
        const value = `${object}.${name}`;
        if (this.#claims.has(name)) this.#claimed(item, layout, this.keep(`${at}+${from}`), value, scopes);
        else this.#fixed(layout, at, from, value, item.value, scopes);
        note(name, `${at}+${from}`, `${at}+${to}`);
      });
    }
  }

  /** A field that may follow from what comes later. */
  #claimed(item: FieldDescription, layout: ResolvedType, at: string, value: string, scopes: Scopes): void {
    if (item.value !== undefined) throw new NotCompiled();
    const code = this.fresh();
    this.emit(`let ${code}=${value};`);
    const given = this.block(() => {
      this.#fixed(layout, at, 0, code, undefined, scopes);
    });
    this.emit(`if(${code}!==undefined){${given}}`);
    scopes.at(-1)?.claimed.set(item.name, { code, at, type: item.type });
  }

  /** The innermost struct's field that a path begins with, and its type at the path's end. */
  #find(
    path: string,
    scopes: Scopes,
  ): { readonly field: Claimed; readonly rest: readonly string[]; readonly leaf: Type } {
    const [first = '', ...rest] = path.split('.');
    const scope = [...scopes].reverse().find((item) => item.type.fields.some((field) => field.name === first));
    const field = scope?.claimed.get(first);
    if (field === undefined) throw new NotCompiled();
    return { field, rest: rest.map((name) => nameCode({ name })), leaf: follow(field.type, rest) };
  }

  /** A variable with what a path leads to, or undefined. */
  #valueAt(code: string, rest: readonly string[]): string {
    const found = this.fresh();
    this.emit(`let ${found}=${code};`);
    for (const name of rest) {
      this.emit(`${found}=typeof ${found}==='object'&&${found}!==null?${found}.${name}:undefined;`);
    }
    return found;
  }

  /** Says what a field before must be: a number in a variable, or a tag. */
  #claim(path: string, number: string | bigint, scopes: Scopes): void {
    const { field, rest, leaf } = this.#find(path, scopes);
    const { isWide } = leafOf(leaf);
    const found = this.#valueAt(field.code, rest);
    const claimed = typeof number === 'bigint' ? tagCode(number, isWide) : isWide ? `BigInt(${number})` : number;
    const layout = this.resolved(field.type);
    const fill = this.block(() => {
      if (rest.length === 0) this.emit(`${field.code}=${claimed};`);
      else
        this.emit(
          `${field.code}=${this.#helpers}.put(${field.code},${this.typed(rest)},${claimed},${this.typed(field.type)});`,
        );
      this.#fixed(layout, field.at, 0, field.code, undefined, scopes);
    });
    this.emit(`if(${found}===undefined){${fill}}else if(${found}!==${claimed})S();`);
  }

  /** Says what a length or a place must be, or sees that it is as described. */
  #agree(from: string | number, number: string, scopes: Scopes): void {
    if (typeof from === 'string') this.#claim(from, number, scopes);
    else this.emit(`if(${number}!==${numberCode(from)})S();`);
  }

  #part(part: VariablePart, value: string, scopes: Scopes): void {
    switch (part.form) {
      case 'list':
        this.#list(part, value, scopes);
        return;
      case 'run':
        this.#bytesOrText(part, value, scopes);
        return;
      case 'optional': {
        const given = this.keep(value);
        const there = this.block(() => {
          this.#write(part.type, given, scopes);
        });
        this.emit(`if(${given}!==undefined){${there}}`);
        return;
      }
      case 'variant':
        this.#variant(part, value, scopes);
        return;
      case 'pointed':
        this.#pointed(part, this.keep(value), scopes);
        return;
      case 'sized': {
        const from = this.keep('p');
        this.#write(part.type, value, scopes);
        this.#agree(part.length, this.keep(`p-${from}`), scopes);
        return;
      }
      case 'align': {
        const given = this.keep(value);
        const to = numberCode(part.to);
        const count = this.keep(`(${to}-p%${to})%${to}`);
        const at = this.#room(count);
        this.emit(`if(${given}!==undefined){if(!(${given} instanceof Uint8Array)||${given}.length!==${count})S();`);
        this.emit(`b.set(${given},${at});}`);
        return;
      }
      case 'magic': {
        const given = this.keep(value);
        const expected = this.typed(part.expected);
        this.emit(`if(${given}!==undefined&&!${this.#helpers}.isSame(${given},${expected}))S();`);
        this.emit(`b.set(${expected},${this.#room(numberCode(part.expected.length))});`);
        return;
      }
      case 'checksum':
        this.#room(numberCode(byteSize(this.resolved(part.type))));
        return;
      case 'digest':
        this.#room(numberCode(part.digest.size));
        return;
      case 'processed': {
        const call = `${this.#helpers}.processed(${this.typed(part.process)},${this.typed(part.type)},${value})`;
        const length = this.#set(this.keep(call));
        if (part.length !== undefined) this.#agree(part.length, length, scopes);
        return;
      }
      case 'lazy':
        throw new NotCompiled();
    }
  }

  /** Writes bytes; the result is a variable with their number. */
  #set(bytes: string): string {
    const length = this.keep(`${bytes}.length`);
    this.emit(`b.set(${bytes},${this.#room(length)});`);
    return length;
  }

  #bytesOrText(part: Part<'run'>, value: string, scopes: Scopes): void {
    const given = this.keep(value);
    const bytes = this.fresh();
    if (part.encoding === undefined) {
      this.emit(`let ${bytes}=${given};if(${bytes}===undefined)${bytes}=new Uint8Array(0);`);
      this.emit(`if(!(${bytes} instanceof Uint8Array))S();`);
    } else {
      this.emit(`const ${bytes}=${this.#helpers}.text(${this.typed(part.encoding)},${given}===undefined?'':${given});`);
    }
    if (part.terminator !== undefined) this.emit(`if(${bytes}.includes(${numberCode(part.terminator)}))S();`);
    const length = this.#set(bytes);
    if (part.terminator !== undefined) this.emit(`v.setUint8(${this.#room('1')},${numberCode(part.terminator)});`);
    if (part.length !== undefined) this.#agree(part.length, length, scopes);
  }

  #list(part: Part<'list'>, value: string, scopes: Scopes): void {
    const { element, until, count } = part;
    const list = this.fresh();
    this.emit(`let ${list}=${value};if(${list}===undefined)${list}=[];if(!Array.isArray(${list}))S();`);
    const length = this.keep(`${list}.length`);
    if (typeof count === 'number') this.emit(`if(${length}!==${numberCode(count)})S();`);
    if (until !== undefined) this.emit(`if(${length}===0)S();`);
    const index = this.fresh();
    const item = `${list}[${index}]`;
    const check = until === undefined ? '' : `if(${this.typed(until)}(${item})!==(${index}===${length}-1))S();`;
    const loop = `for(let ${index}=0;${index}<${length};${index}++)`;
    if (hasFixedSize(element)) {
      const layout = this.resolved(element);
      const size = byteSize(layout);
      const at = this.#room(`${length}*${size}`);
      const place = this.fresh();
      const body = this.block(() => {
        this.measure.inside(() => {
          this.#fixed(layout, place, 0, item, undefined, scopes);
        });
      });
      this.emit(`${loop}{${check}const ${place}=${at}+${index}*${size};${body}}`);
    } else {
      const body = this.block(() => {
        this.#write(element, item, scopes);
      });
      this.emit(`${loop}{${check}${body}}`);
    }
    if (typeof count === 'string') this.#claim(count, length, scopes);
  }

  #variant(part: Part<'variant'>, value: string, scopes: Scopes): void {
    const given = this.keep(value);
    this.emit(`if(${given}===undefined)S();`);
    const object = this.object(given);
    const arms = part.arms.map((arm) => {
      const body = this.block(() => {
        if (arm.tag !== undefined) this.#claim(part.by, arm.tag, scopes);
        else this.#checkOther(part, scopes);
        this.#write(arm.type, `${object}.value`, scopes);
      });
      return `case ${JSON.stringify(arm.name)}:{${body}break;}`;
    });
    this.emit(`switch(${object}.arm){${arms.join('\n')}\ndefault:S();}`);
  }

  /** The tag of the arm for all others is one that no arm has. */
  #checkOther(part: Part<'variant'>, scopes: Scopes): void {
    const { field, rest, leaf } = this.#find(part.by, scopes);
    const { isWide } = leafOf(leaf);
    const found = this.#valueAt(field.code, rest);
    const tags = part.arms.flatMap(({ tag }) => (tag === undefined ? [] : [tagCode(tag, isWide)]));
    this.emit(`if(${[`${found}===undefined`, ...tags.map((tag) => `${found}===${tag}`)].join('||')})S();`);
  }

  /** What is elsewhere is written behind the rest; what is already there is seen by the interpreter. */
  #pointed(part: Part<'pointed'>, value: string, scopes: Scopes): void {
    const body = this.block(() => {
      let wanted: string;
      if (typeof part.at === 'number') wanted = numberCode(part.at);
      else {
        const { field, rest } = this.#find(part.at, scopes);
        wanted = this.#valueAt(field.code, rest);
      }
      const at = this.fresh();
      this.emit(`const ${at}=${wanted}===undefined?p:Number(${wanted});`);
      this.emit(`if(!Number.isSafeInteger(${at})||${at}<p||${at}>p+${MOST_GAP})S();`);
      this.#room(this.keep(`${at}-p`));
      this.#write(part.type, value, scopes);
      this.#agree(part.at, at, scopes);
    });
    this.emit(`Q.push(()=>{${body}});`);
  }
}

/** Finds the names that paths begin with, and whether something stands elsewhere. */
function survey(type: Type, found: { readonly claims: Set<string>; isDeferred: boolean }, measure: Measure): void {
  measure.inside(() => {
    if (isVariableStruct(type)) for (const item of type.fields) survey(item.type, found, measure);
    if (type.kind !== 'variable') return;
    const { part } = type;
    const path =
      part.form === 'list'
        ? part.count
        : part.form === 'run' || part.form === 'sized' || part.form === 'processed'
          ? part.length
          : part.form === 'variant'
            ? part.by
            : part.form === 'pointed'
              ? part.at
              : undefined;
    if (typeof path === 'string') found.claims.add(path.split('.')[0] ?? '');
    if (part.form === 'pointed') found.isDeferred = true;
    if (part.form === 'lazy') throw new NotCompiled();
    if (part.form === 'list') survey(part.element, found, measure);
    else if (part.form === 'variant') for (const arm of part.arms) survey(arm.type, found, measure);
    else if ('type' in part) survey(part.type, found, measure);
  });
}

/**
 * Compiles the writer of a type without a fixed size.
 * @throws NotCompiled where it stays interpreted
 */
export function compileWrite(type: Type, target: Target, generator: Generator): WriteVariable {
  return new WriteCompiler(generator, target, type).whole(type);
}
