import type { Generator } from '../codec/generate.js';
import { byteSize, type ResolvedType } from '../layout/resolved.js';
import type { Target } from '../layout/target.js';
import type { FieldDescription, StructDescription, Type, VariablePart } from '../layout/types.js';
import {
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
  rangeCode,
  survey,
  tagCode,
  type Part,
} from './compile.js';
import { sumsOf } from './sums.js';
import { integerOf } from './write-values.js';
import { MOST_GAP } from './write.js';
import { helpersFor, Scratch } from './write-helpers.js';

/** Encodes a value. */
export type WriteVariable = (value: unknown) => Uint8Array<ArrayBuffer>;

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
    const factory = this.make('', '', (text) => `function(x){${head}\n${text}\nreturn ${scratch}.give(b,p);}`);
    return factory() as WriteVariable;
  }

  /** Sees to it that there is memory for so many bytes. */
  #grow(count: string): string {
    return `if(p+${count}>n){b=${this.#scratch}.grow(b,p,p+${count});v=new DataView(b.buffer);n=b.length;}`;
  }

  /** Room for so many bytes; the result is a variable with the place of the first. */
  #room(count: string): string {
    this.emit(this.#grow(count));
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
    } else if (constant === undefined && layout.kind === 'text' && layout.encoding?.startsWith('utf16') !== true) {
      const given = this.keep(value);
      const fits = `${given}!==undefined&&${given}.length<=${layout.bits / 8}`;
      this.emit(`if(!(${fits}&&${this.#helpers}.ascii(b,${at}+${offset},${given},0)))`);
      this.generator.write(layout, place, given);
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
    const marked = new Set(sums.flatMap(({ item, part }) => [item.name, part.first, part.last]));
    const places = new Map<string, readonly [from: string, to: string]>();
    const note = (name: string, from: string, to: string): void => {
      if (marked.has(name)) places.set(name, [from, to]);
    };
    let run: FieldDescription[] = [];
    for (const item of type.fields) {
      if (hasFixedSize(integerOf(item.type)) && item.anonymous !== true) {
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
    for (const item of type.fields) this.#bounds(item, scope);
    for (const { item, part } of sums) {
      const { name } = item;
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

  /** Checks an integer that has bounds when all that it may follow from is written. */
  #bounds({ name, type }: FieldDescription, scope: Scope): void {
    if (type.kind !== 'variable' || type.part.form !== 'range') return;
    const value = scope.claimed.get(name)?.code ?? `${scope.object}.${name}`;
    const zero = type.part.type.bits > 32 ? '0n' : '0';
    const found = this.fresh();
    const check = `const ${found}=${value}===undefined?${zero}:${value};${rangeCode(type.part, found)}`;
    this.emit(this.#isDeferred ? `Z.push(()=>{${check}});` : check);
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
      const layout = this.resolved(integerOf(item.type));
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
    scopes.at(-1)?.claimed.set(item.name, { code, at, type: integerOf(item.type) });
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
      case 'range': {
        // One that was left out may follow from what comes later, which the interpreter knows.
        const given = this.keep(value);
        this.emit(`if(${given}===undefined)S();`);
        this.#write(part.type, given, scopes);
        this.emit(rangeCode(part, given));
        return;
      }
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
    this.emit(`${this.#helpers}.set(b,${this.#room(length)},${bytes});`);
    return length;
  }

  #bytesOrText(part: Part<'run'>, value: string, scopes: Scopes): void {
    const { encoding, terminator } = part;
    const given = this.keep(value);
    const [bytes, length] = [this.fresh(), this.fresh()];
    this.emit(`let ${bytes},${length};`);
    const slow = this.block(() => {
      if (encoding === undefined) {
        this.emit(`${bytes}=${given}===undefined?new Uint8Array(0):${given};`);
        this.emit(`if(!(${bytes} instanceof Uint8Array))S();`);
      } else {
        this.emit(`${bytes}=${this.#helpers}.text(${this.typed(encoding)},${given}===undefined?'':${given});`);
      }
      if (terminator !== undefined) this.emit(`if(${bytes}.includes(${numberCode(terminator)}))S();`);
      this.emit(`${length}=${bytes}.length;`);
      this.emit(`${this.#helpers}.set(b,${this.#room(length)},${bytes});`);
    });
    if (encoding === undefined || encoding.startsWith('utf16')) {
      this.emit(slow);
    } else {
      // Room for it as ASCII; if it is none, nothing was written.
      this.emit(`${length}=typeof ${given}==='string'?${given}.length:0;`);
      this.emit(this.#grow(length));
      const is = `${length}>0&&${this.#helpers}.ascii(b,p,${given},${terminator === undefined ? 0 : numberCode(terminator)})`;
      this.emit(`if(${is})p+=${length};else{${slow}}`);
    }
    if (terminator !== undefined) this.emit(`v.setUint8(${this.#room('1')},${numberCode(terminator)});`);
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

/**
 * Compiles the writer of a type without a fixed size.
 * @throws NotCompiled where it stays interpreted
 */
export function compileWrite(type: Type, target: Target, generator: Generator): WriteVariable {
  return new WriteCompiler(generator, target, type).whole(type);
}
