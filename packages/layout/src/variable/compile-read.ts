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
  liftedFields,
  nameCode,
  NotCompiled,
  numberCode,
  rangeCode,
  tagCode,
  type Part,
} from './compile.js';
import { sumsOf } from './sums.js';
import { MOST_PER_BYTE, MOST_WITHOUT_BYTES } from './read.js';
import { helpers, SHORT_TEXT } from './read-helpers.js';

/** Decodes what begins at a byte, and says in `result` which byte is behind it. */
export type ReadVariable = (view: DataView, offset: number, result: { next: number }) => unknown;

/** The bytes of a view. */
const BYTES = 'B=v.buffer,D=v.byteOffset,z=v.byteLength,u=new Uint8Array(B,D,z)';

/** A struct that is being read: which variable has the value of each field that was read, and what stands in its value. */
interface Scope {
  readonly names: Map<string, { readonly code: string; readonly type: Type }>;
  readonly parts: string[];
}

type Scopes = readonly Scope[];

/** Generates the statements that read a value. `v` is the view, `o` its start, `u` its bytes, `p` the byte that is next. */
class ReadCompiler extends Code {
  readonly #copy: boolean;
  readonly #helpers: string;
  /** Where the values elsewhere lie that are being read: one at the same place may be inside itself. */
  readonly #open: string[] = [];
  readonly #functions: string[] = [];
  /** Values that the block that is being generated reads each time. */
  #cost = 0;

  constructor(generator: Generator, target: Target, copy: boolean) {
    super(generator, target);
    this.#copy = copy;
    this.#helpers = this.typed(helpers);
  }

  whole(type: Type): ReadVariable {
    const value = this.#value(type, 'z', []);
    const budget = `let L=(v.byteLength-o)*${MOST_PER_BYTE}+${MOST_WITHOUT_BYTES};`;
    this.emit(`if((L-=${this.#cost})<0)S();r.next=p;return ${value};`);
    // P and M carry what is next, and what may still be read, into functions and out of them.
    const arm = 'function A(arm,value){this.arm=arm;this.value=value;}A.prototype=Object.prototype;';
    const functions = `let P=0,M=0;${arm}${this.#functions.join('\n')}`;
    const factory = this.make('', functions, (text) => `function(v,o,r){const ${BYTES};let p=o;${budget}${text}}`);
    return factory() as ReadVariable;
  }

  /** Generates a block, whose values are counted each time that it runs. */
  #block(fill: () => void): string {
    const outside = this.#cost;
    this.#cost = 0;
    const made = this.block(() => {
      fill();
      this.emit(`if((L-=${this.#cost})<0)S();`);
    });
    this.#cost = outside;
    return made;
  }

  /** Reads a value; the result is an expression that is to be used once. */
  #value(type: Type, end: string, scopes: Scopes): string {
    this.#cost += 1;
    return this.measure.inside(() => {
      if (type.kind === 'variable') return this.#part(type.part, end, scopes);
      if (isVariableStruct(type)) return this.#struct(type, end, scopes);
      const layout = this.resolved(type);
      return this.#fixed(layout, this.#take(numberCode(byteSize(layout)), end), scopes);
    });
  }

  /** A variable with the place of so many bytes; what is next is behind them. */
  #take(size: string, end: string): string {
    const next = this.keep(`p+${size}`);
    this.emit(`if(${next}>${end})S();`);
    const at = this.keep('p');
    this.emit(`p=${next};`);
    return at;
  }

  #fixed(layout: ResolvedType, at: string, scopes: Scopes, offset = 0): string {
    if (layout.kind === 'text' && layout.encoding?.startsWith('utf16') !== true && layout.bits / 8 <= SHORT_TEXT) {
      const from = `${at}+${offset}`;
      return `${this.#helpers}.field(${this.typed(layout.encoding)},u,${from},${from}+${layout.bits / 8})`;
    }
    if (layout.kind !== 'tagged' && layout.kind !== 'union')
      return this.generator.read(layout, { base: at, bit: offset * 8 });
    return `${this.#helpers}.read(${this.typed(layout)},v,${at}+${offset},${this.#around(scopes)})`;
  }

  /** The fields of the innermost struct that were read before. */
  #around(scopes: Scopes): string {
    return `{${scopes.at(-1)?.parts.join(',') ?? ''}}`;
  }

  #struct(type: StructDescription, end: string, around: Scopes): string {
    const scope: Scope = { names: new Map(), parts: [] };
    const scopes = [...around, scope];
    const sums = sumsOf(type);
    const marked = new Set(sums.flatMap(({ item, part }) => [item.name, part.first, part.last]));
    const places = new Map<string, readonly [from: string, to: string]>();
    let run: FieldDescription[] = [];
    for (const item of type.fields) {
      if (hasFixedSize(item.type) && !marked.has(item.name)) {
        run.push(item);
        continue;
      }
      this.#run(run, end, scopes, scope);
      run = [];
      const from = marked.has(item.name) ? this.keep('p') : '';
      this.#note(item, this.#value(item.type, end, scopes), scope);
      if (from !== '') places.set(item.name, [from, this.keep('p')]);
    }
    this.#run(run, end, scopes, scope);
    for (const { item, part } of sums) {
      const { name } = item;
      const [first, last, own] = [places.get(part.first), places.get(part.last), places.get(name)];
      const value = scope.names.get(name)?.code;
      if (first === undefined || last === undefined || own === undefined || value === undefined)
        throw new NotCompiled();
      const place = `${first[0]},${last[1]},${own[0]},${own[1]}`;
      this.emit(`if(!${this.#helpers}.isSum(${this.typed(part)},u,${place},${value}))S();`);
    }
    return this.#object(scope.parts);
  }

  /**
   * An expression for an object. By a constructor: the engine moves literals into its memory for old values once many lived
   * for long, and making them is slow from then on.
   */
  #object(parts: readonly string[]): string {
    if (parts.length === 0 || parts.some((part) => part.startsWith('...'))) return `{${parts.join(',')}}`;
    const pairs = parts.map((part) => part.split(':') as [name: string, value: string]);
    const parameters = pairs.map((_, index) => `a${index}`).join(',');
    const sets = pairs.map(([name], index) => `this.${name}=a${index};`).join('');
    const name = `f${this.fresh()}`;
    this.#functions.push(`function ${name}(${parameters}){${sets}}${name}.prototype=Object.prototype;`);
    return `new ${name}(${pairs.map(([, value]) => value).join(',')})`;
  }

  /** Fields of a fixed size that follow each other: one check of what is there, and places that are known. */
  #run(run: readonly FieldDescription[], end: string, scopes: Scopes, scope: Scope): void {
    if (run.length === 0) return;
    let offset = 0;
    const placed = run.map((item) => {
      const layout = this.resolved(item.type);
      offset += byteSize(layout);
      return { item, layout, offset: offset - byteSize(layout) };
    });
    const at = this.#take(numberCode(offset), end);
    for (const { item, layout, offset: from } of placed) {
      this.#cost += 1;
      this.#note(
        item,
        this.measure.inside(() => this.#fixed(layout, at, scopes, from)),
        scope,
      );
    }
  }

  /** Keeps the value of a field, which others may ask for. */
  #note(item: FieldDescription, value: string, scope: Scope): void {
    const name = nameCode(item);
    const code = this.keep(value);
    if (item.value !== undefined) {
      this.emit(`if(${code}!==${constantCode(item.value)})S();`);
    }
    if (item.anonymous === true) {
      scope.parts.push(`...${code}`);
      for (const [name, place, type] of liftedFields(item.type, code)) scope.names.set(name, { code: place, type });
    } else {
      scope.parts.push(`${name}:${code}`);
      scope.names.set(name, { code, type: item.type });
    }
  }

  /** What a path leads to, as the innermost struct has it that has read its first field. */
  #lookUp(path: string, scopes: Scopes): { readonly code: string; readonly type: Type } {
    const [first = '', ...rest] = path.split('.');
    for (const scope of [...scopes].reverse()) {
      const found = scope.names.get(first);
      if (found === undefined) continue;
      const type = follow(found.type, rest);
      return { code: [found.code, ...rest.map((name) => nameCode({ name }))].join('.'), type };
    }
    throw new NotCompiled();
  }

  /** A variable with a count, a length or an offset. */
  #number(from: string | number, scopes: Scopes): string {
    if (typeof from === 'number') return numberCode(from);
    const { code, type } = this.#lookUp(from, scopes);
    if (leafOf(type).isCount) return this.keep(code);
    const number = this.keep(`Number(${code})`);
    this.emit(`if(!Number.isSafeInteger(${number})||${number}<0)S();`);
    return number;
  }

  #bytes(from: string, to: string): string {
    // A window by the constructor costs half of one by subarray.
    return this.#copy ? `u.slice(${from},${to})` : `new Uint8Array(B,D+${from},${to}-${from})`;
  }

  #part(part: VariablePart, end: string, scopes: Scopes): string {
    switch (part.form) {
      case 'list':
        return this.#list(part, end, scopes);
      case 'run':
        return this.#bytesOrText(part, end, scopes);
      case 'optional': {
        const is = `${this.typed(part)}.isThere(${this.#around(scopes)})`;
        const value = this.fresh();
        this.emit(`let ${value};`);
        const there = this.#block(() => {
          this.emit(`${value}=${this.#value(part.type, end, scopes)};`);
        });
        this.emit(`if(${is}){${there}}`);
        return value;
      }
      case 'variant':
        return this.#variant(part, end, scopes);
      case 'pointed':
        return this.#pointed(part, scopes);
      case 'sized': {
        const next = this.keep(`p+${this.#number(part.length, scopes)}`);
        this.emit(`if(${next}>${end})S();`);
        const value = this.keep(this.#value(part.type, next, scopes));
        this.emit(`if(p!==${next})S();`);
        return value;
      }
      case 'align': {
        const to = numberCode(part.to);
        const at = this.keep('p');
        this.emit(`p=o+Math.ceil((p-o)/${to})*${to};if(p>${end})S();`);
        const value = this.fresh();
        this.emit(`let ${value};for(let i=${at};i<p;i++)if(u[i]!==0){${value}=${this.#bytes(at, 'p')};break;}`);
        return value;
      }
      case 'magic': {
        const at = this.#take(numberCode(part.expected.length), end);
        this.emit(`if(!${this.#helpers}.same(u,${at},${this.typed(part.expected)}))S();`);
        return this.#bytes(at, 'p');
      }
      case 'checksum':
        return this.#value(part.type, end, scopes);
      case 'range': {
        const value = this.keep(this.#value(part.type, end, scopes));
        this.emit(rangeCode(part, value));
        return value;
      }
      case 'digest': {
        const at = this.#take(numberCode(part.digest.size), end);
        return this.keep(this.#bytes(at, 'p'));
      }
      case 'processed':
        return this.#processed(part, end, scopes);
      case 'lazy':
        // What is asked for later is read with what is known then.
        throw new NotCompiled();
    }
  }

  #bytesOrText(part: Part<'run'>, end: string, scopes: Scopes): string {
    let [from, to] = ['', 'p'];
    if (part.length !== undefined) {
      from = this.#take(this.#number(part.length, scopes), end);
    } else if (part.terminator === undefined) {
      from = this.keep('p');
      this.emit(`p=${end};`);
    } else {
      from = this.keep('p');
      this.emit(`while(p<${end}&&u[p]!==${numberCode(part.terminator)})p++;if(p>=${end})S();`);
      to = this.keep('p');
      this.emit('p++;');
    }
    const value =
      part.encoding === undefined
        ? this.#bytes(from, to)
        : `${this.#helpers}.text(${this.typed(part.encoding)},u,${from},${to})`;
    return this.keep(value);
  }

  #list(part: Part<'list'>, end: string, scopes: Scopes): string {
    const { element, until, count } = part;
    if (until === undefined && hasFixedSize(element)) return this.#fixedList(part, end, scopes);
    const list = this.keep('[]');
    const value = this.fresh();
    const read = `${this.#call(element, end, scopes, value)}${list}.push(${value});`;
    if (until !== undefined) {
      this.emit(`for(;;){${read}if(${this.typed(until)}(${value})===true)break;}`);
    } else if (count === undefined) {
      const before = this.fresh();
      this.emit(`while(p<${end}){const ${before}=p;${read}if(p===${before})S();}`);
    } else {
      const number = this.#number(count, scopes);
      const index = this.fresh();
      this.emit(`for(let ${index}=0;${index}<${number};${index}++){${read}}`);
    }
    return list;
  }

  /**
   * Generates a function that reads a value, as the elements of lists have one: what is called often becomes machine code
   * soon. The result is the call, which puts what was read into a variable.
   */
  #call(type: Type, end: string, scopes: Scopes, value: string): string {
    const outside = this.#cost;
    this.#cost = 0;
    const body = this.block(() => {
      const found = this.#value(type, end, scopes);
      this.emit(`if((L-=${this.#cost})<0)S();P=p;M=L;return ${found};`);
    });
    this.#cost = outside;
    const own = new Set([...body.matchAll(/(?:const|let) ([wt]\d+)/g)].map(([, name]) => name));
    const used = new Set([...body.matchAll(/(?<![.\w])[wt]\d+/g)].map(([name]) => name));
    const given = ['v', 'u', 'B', 'D', 'z', 'o', ...[...used].filter((name) => !own.has(name))].join(',');
    const name = `f${this.fresh()}`;
    this.#functions.push(`function ${name}(${given}){let p=P,L=M;${body}}`);
    return `P=p;M=L;const ${value}=${name}(${given});p=P;L=M;`;
  }

  #fixedList({ element, count }: Part<'list'>, end: string, scopes: Scopes): string {
    const layout = this.resolved(element);
    const size = byteSize(layout);
    if (size === 0) throw new NotCompiled();
    let number: string;
    if (count === undefined) {
      number = this.keep(`(${end}-p)/${size}`);
      this.emit(`if(!Number.isInteger(${number}))S();`);
    } else {
      number = this.#number(count, scopes);
      this.emit(`if(p+${number}*${size}>${end})S();`);
    }
    this.emit(`if((L-=${number})<0)S();`);
    const list = this.keep(`new Array(${number})`);
    const at = this.keep('p');
    const [index, place] = [this.fresh(), this.fresh()];
    const body = this.block(() => {
      this.emit(`${list}[${index}]=${this.measure.inside(() => this.#fixed(layout, place, scopes))};`);
    });
    this.emit(`let ${place}=${at};`);
    this.emit(`for(let ${index}=0;${index}<${number};${index}++,${place}+=${size}){${body}}`);
    this.emit(`p=${at}+${number}*${size};`);
    return list;
  }

  #variant(part: Part<'variant'>, end: string, scopes: Scopes): string {
    const { code, type } = this.#lookUp(part.by, scopes);
    const { isWide } = leafOf(type);
    const value = this.fresh();
    this.emit(`let ${value};`);
    const arms = part.arms.map((arm) => {
      const label = arm.tag === undefined ? 'default' : `case ${tagCode(arm.tag, isWide)}`;
      const body = this.#block(() => {
        const inner = this.#value(arm.type, end, scopes);
        this.emit(`${value}=new A(${JSON.stringify(arm.name)},${inner});`);
      });
      return `${label}:{${body}break;}`;
    });
    if (part.arms.every((arm) => arm.tag !== undefined)) arms.push('default:S();');
    this.emit(`switch(${code}){${arms.join('\n')}}`);
    return value;
  }

  #pointed(part: Part<'pointed'>, scopes: Scopes): string {
    const place = this.keep(`o+${this.#number(part.at, scopes)}`);
    this.emit(`if(${place}>z)S();`);
    for (const outer of this.#open) this.emit(`if(${place}===${outer})S();`);
    const before = this.keep('p');
    this.emit(`p=${place};`);
    this.#open.push(place);
    const value = this.keep(this.#value(part.type, 'z', scopes));
    this.#open.pop();
    this.emit(`p=${before};`);
    return value;
  }

  #processed(part: Part<'processed'>, end: string, scopes: Scopes): string {
    let from: string;
    if (part.length === undefined) {
      from = this.keep('p');
      this.emit(`p=${end};`);
    } else {
      from = this.#take(this.#number(part.length, scopes), end);
    }
    const plain = this.keep(`${this.#helpers}.plain(${this.typed(part.process)},u.slice(${from},p))`);
    const value = this.fresh();
    this.emit(`let ${value};`);
    const outer = this.#open.splice(0);
    const body = this.#block(() => {
      this.emit(`${value}=${this.#value(part.type, 'z', scopes)};if(p!==z)S();`);
    });
    this.#open.push(...outer);
    const budget = `L=v.byteLength*${MOST_PER_BYTE}+${MOST_WITHOUT_BYTES}`;
    const head = `const v=${plain},${BYTES},o=0;let p=0,${budget};`;
    this.emit(`{${head}${body}}`);
    return value;
  }
}

/**
 * Compiles the reader of a type without a fixed size.
 * @param copy whether byte strings are copies, or windows of the memory
 * @throws NotCompiled where it stays interpreted
 */
export function compileRead(type: Type, target: Target, generator: Generator, copy: boolean): ReadVariable {
  return new ReadCompiler(generator, target, copy).whole(type);
}
