import type {
  ResolvedArray,
  ResolvedField,
  ResolvedInteger,
  ResolvedIntegral,
  ResolvedStruct,
  ResolvedType,
} from '../layout/resolved.js';
import {
  flatSlices,
  halves,
  isDirect,
  joined,
  joinedWide,
  load,
  loadRaw,
  misfit,
  moved,
  sliceInPlace,
  sliceOf,
  sliceOfHalves,
  store,
  storeRun,
  type FlatSlice,
  type Place,
} from './expressions.js';
import { make } from './runtime.js';

/** Decodes at a byte offset. */
export type Decode = (view: DataView, offset: number) => unknown;
/** Encodes at a byte offset. */
export type Encode = (view: DataView, offset: number, value: unknown) => void;

const PERIODS: Readonly<Record<number, number>> = { 0: 1, 4: 2, 2: 4, 6: 4 };
/** After how many elements of a width a packed array is at a byte again. */
const period = (bits: number): number => PERIODS[bits % 8] ?? 8;

/** What generates statements for values of a fixed size, and for what else a compiler puts around them. */
export type Generator = ReturnType<typeof generator>;

/** Generates statements. Functions around shared variables: they shrink better than methods. */
export function generator(copy: boolean) {
  const types: unknown[] = [];
  let lines: string[] = [];
  let names = 0;

  function text(): string {
    return lines.join('\n');
  }

  function emit(text: string): void {
    lines.push(text);
  }

  function fresh(): string {
    return `t${(names += 1)}`;
  }

  /** A variable that holds an expression's value. */
  function keep(expression: string): string {
    const name = fresh();
    emit(`const ${name}=${expression};`);
    return name;
  }

  /** The interpreter's word for a type, or whatever else the code is given, in generated code. */
  function typed(type: unknown): string {
    return `T[${types.push(type) - 1}]`;
  }

  function bitOf(place: Place): string {
    return `(${place.base})*8+${place.bit}`;
  }

  // Decoding. `slow` is what to do where a constant differs.

  function read(type: ResolvedType, place: Place): string {
    switch (type.kind) {
      case 'integer':
        return load(type, place) ?? readSlowly(type, place);
      case 'float':
        return place.bit % 8 === 0
          ? `v.getFloat${type.bits}(${place.base}+${place.bit / 8},${String(type.endian === 'little')})`
          : readSlowly(type, place);
      case 'bytes':
        return place.bit % 8 === 0
          ? readBytes(`${place.base}+${place.bit / 8}`, type.bits / 8)
          : readSlowly(type, place);
      case 'array':
        return readArray(type, place);
      case 'struct':
        return readStruct(type, place);
      case 'integral':
        return readIntegral(type, place);
      default:
        return readSlowly(type, place);
    }
  }

  function readBytes(at: string, count: number): string {
    // A copy by the constructor is the cheapest: the memory for it is not cleared before.
    const window = `new Uint8Array(v.buffer,v.byteOffset+${at},${count})`;
    return copy ? `new Uint8Array(${window})` : window;
  }

  function readSlowly(type: ResolvedType, place: Place): string {
    return `H.read(${typed(type)},v,${bitOf(place)})`;
  }

  function checked(value: number | bigint | undefined, expression: string): string {
    if (value === undefined) return expression;
    const name = keep(expression);
    emit(`if(${name}!==${literal(value)})return S(v,o);`);
    return name;
  }

  function readStruct(type: ResolvedStruct, place: Place): string {
    if (holdsTagged(type)) return readSlowly(type, place);
    return `{${partsOf(type.fields, place).join(',')}}`;
  }

  /** Properties of an object; the fields of anonymous members are among them. */
  function partsOf(fields: readonly ResolvedField[], place: Place): string[] {
    return fields.flatMap((item) => {
      if (item.unnamed) return [];
      const at = moved(place, item.bit);
      const { type } = item;
      if (item.anonymous === true && type.kind === 'struct') return partsOf(type.fields, at);
      if (item.anonymous === true && type.kind === 'union') return partsOf(type.arms, at);
      return [`${item.name}:${checked(item.value, read(type, at))}`];
    });
  }

  function readIntegral(type: ResolvedIntegral, place: Place): string {
    const container = type.container;
    const slices = flatSlices(type);
    const inPlace = slices.map((part) => sliceInPlace(container, place, part.item));
    const values = new Map<string, string>();
    if (inPlace.every((part) => part !== undefined)) {
      inPlace.forEach((part, index) => values.set(pathKey(slices[index]), load(part.type, part.place) ?? '0'));
    } else if (type.bits <= 32) {
      const raw = loadRaw(container, place);
      if (raw === undefined) return readSlowly(type, place);
      const name = keep(raw);
      for (const part of slices) values.set(pathKey(part), sliceOf(name, type.bits, part.item, part.type));
    } else if (isDirect(container, place)) {
      const [high, low] = halves(container, place).map((half) => keep(half)) as [string, string];
      for (const part of slices)
        values.set(pathKey(part), sliceOfHalves(part.item, part.type, high, low) ?? sliceOfBig(part, high, low));
    } else {
      return readSlowly(type, place);
    }
    return integralObject(type, [], values);
  }

  function sliceOfBig({ item, type }: FlatSlice, high: string, low: string): string {
    const whole = `(BigInt(${high})<<32n|BigInt(${low}))`;
    const part = `BigInt.as${type.signed ? 'Int' : 'Uint'}N(${item.width},${whole}>>${item.shift}n)`;
    return type.wide ? part : `Number(${part})`;
  }

  function integralObject(
    type: ResolvedIntegral,
    path: readonly string[],
    values: ReadonlyMap<string, string>,
  ): string {
    const parts = type.fields.map((item) => {
      const inner = [...path, item.name];
      if (item.type.kind === 'integral') return `${item.name}:${integralObject(item.type, inner, values)}`;
      return `${item.name}:${checked(item.value, values.get(inner.join('.')) ?? '0')}`;
    });
    return `{${parts.join(',')}}`;
  }

  function readArray(type: ResolvedArray, place: Place): string {
    const { element, count } = type;
    const group = period(element.bits);
    if (group > 1 && element.kind !== 'integer') return readSlowly(type, place);
    const list = keep(`new Array(${count})`);
    const whole = Math.floor(count / group);
    const loop = block(() => {
      const at = keep(`${place.base}+i*${(element.bits * group) / 8}`);
      for (let index = 0; index < group; index += 1) {
        emit(`${list}[i*${group}+${index}]=${read(element, { base: at, bit: place.bit + index * element.bits })};`);
      }
    });
    if (whole > 0) emit(`for(let i=0;i<${whole};i++){${loop}}`);
    for (let index = whole * group; index < count; index += 1) {
      emit(`${list}[${index}]=${read(element, moved(place, index * element.bits))};`);
    }
    return list;
  }

  // Encoding. Anything that does not fit goes to the interpreter, which says what is wrong, or fills in what was left out.

  function write(type: ResolvedType, place: Place, value: string): void {
    switch (type.kind) {
      case 'integer':
        writeInteger(type, place, value);
        return;
      case 'struct':
        writeStruct(type, place, value);
        return;
      case 'integral':
        writeIntegral(type, place, value);
        return;
      case 'array':
        writeArray(type, place, value);
        return;
      case 'bytes':
        if (place.bit % 8 === 0) emit(`if(!H.put(v,${place.base}+${place.bit / 8},${type.bits / 8},${value}))`);
        writeSlowly(type, place, value);
        return;
      default:
        writeSlowly(type, place, value);
    }
  }

  function writeSlowly(type: ResolvedType, place: Place, value: string): void {
    emit(`H.write(${typed(type)},v,${bitOf(place)},${value});`);
  }

  function writeInteger(type: ResolvedInteger, place: Place, value: string): void {
    storeFitting(type, place, fitting(type, value, undefined));
  }

  /** A variable with a value that is known to fit; `missing` is a variable that says whether a field was left out. */
  function fitting(
    type: ResolvedInteger,
    value: string,
    constant: number | bigint | undefined,
    missing?: string,
  ): string {
    const name = fresh();
    const rest = literal(constant ?? (type.wide ? 0n : 0));
    const left = `${name}=${rest}`;
    const noted = missing === undefined || constant !== undefined ? left : `{${left};${missing}=1}`;
    emit(`let ${name}=${value};if(${name}===undefined)${noted};`);
    const wrong = constant === undefined ? misfit(type, name) : `${name}!==${rest}`;
    emit(`if(${wrong})return S(v,o,x);`);
    return name;
  }

  function writeStruct(type: ResolvedStruct, place: Place, value: string): void {
    if (holdsTagged(type) || type.fields.some((item) => item.anonymous)) {
      writeSlowly(type, place, value);
      return;
    }
    const object = objectOf(value);
    const missing = flag();
    // Fields that are parts of bytes are stored together where they fill these bytes.
    let parts: { readonly type: ResolvedInteger; readonly bit: number; readonly value: string }[] = [];
    const flush = (): void => {
      const [first] = parts;
      const last = parts.at(-1);
      if (first !== undefined && last !== undefined && first.bit % 8 === 0 && (last.bit + last.type.bits) % 8 === 0) {
        const run = parts.map((part) => ({ bits: part.type.bits, value: part.value }));
        for (const line of storeRun(place.base, first.bit / 8, run)) emit(line);
      } else {
        for (const part of parts) writeSlowly(part.type, { base: place.base, bit: part.bit }, part.value);
      }
      parts = [];
    };
    for (const item of type.fields) {
      if (item.unnamed) continue;
      const at = moved(place, item.bit);
      const inner = `${object}.${item.name}`;
      const leaf = item.type;
      if (leaf.kind !== 'integer') {
        flush();
        emit(`if(${inner}===undefined)${missing}=1;`);
        write(leaf, at, inner);
        continue;
      }
      const checked = fitting(leaf, inner, item.value, missing);
      if (!isPart(leaf, at)) {
        flush();
        storeFitting(leaf, at, checked);
        continue;
      }
      const last = parts.at(-1);
      if (last !== undefined && last.bit + last.type.bits !== at.bit) flush();
      parts.push({ type: leaf, bit: at.bit, value: checked });
      if ((at.bit + leaf.bits) % 8 === 0) flush();
    }
    flush();
    checkKeysOf(type, object, missing);
  }

  /** A variable that says whether a field was left out; only then are keys looked for that are none. */
  function flag(): string {
    const name = fresh();
    emit(`let ${name}=0;`);
    return name;
  }

  function checkKeysOf(type: ResolvedStruct | ResolvedIntegral, object: string, missing: string): void {
    emit(`if(${missing})H.keys(${typed(type)},${object});`);
  }

  /** Stores a value that fits. */
  function storeFitting(type: ResolvedInteger, place: Place, value: string): void {
    const direct = store(type, place, value);
    if (direct === undefined) writeSlowly(type, place, value);
    else emit(direct);
  }

  function writeIntegral(type: ResolvedIntegral, place: Place, value: string): void {
    const { container } = type;
    const slices = flatSlices(type);
    const objects = new Map<string, string>([['', objectOf(value)]]);
    const missing = flag();
    const checked = slices.map((part) => {
      const owner = ownerOf(part.path.slice(0, -1), objects);
      return fitting(part.type, `${owner}.${part.path.at(-1) ?? ''}`, part.item.value, missing);
    });
    checkKeysOf(type, objects.get('') ?? value, missing);
    for (const [path, inner] of nestedIntegrals(type)) {
      const object = objects.get(path);
      if (object !== undefined) checkKeysOf(inner, object, missing);
    }
    const inPlace = slices.map((part) => sliceInPlace(container, place, part.item));
    if (inPlace.every((part) => part !== undefined)) {
      inPlace.forEach((part, index) => {
        storeFitting(part.type, part.place, checked[index] ?? '0');
      });
      return;
    }
    const values = slices.map((part, index) => ({ item: part.item, type: part.type, value: checked[index] ?? '0' }));
    storeFitting({ ...container, signed: false }, place, type.bits > 32 ? joinedWide(values) : joined(values));
  }

  function ownerOf(path: readonly string[], objects: Map<string, string>): string {
    const key = path.join('.');
    const known = objects.get(key);
    if (known !== undefined) return known;
    const name = objectOf(`${ownerOf(path.slice(0, -1), objects)}.${path.at(-1) ?? ''}`);
    objects.set(key, name);
    return name;
  }

  /** A variable with an object; one that was left out has no fields. */
  function objectOf(value: string): string {
    const name = fresh();
    emit(`let ${name}=${value};if(${name}===undefined)${name}={};`);
    emit(`if(typeof ${name}!=='object'||${name}===null||Array.isArray(${name}))return S(v,o,x);`);
    return name;
  }

  function writeArray(type: ResolvedArray, place: Place, value: string): void {
    const { element, count } = type;
    const group = period(element.bits);
    const whole = Math.floor(count / group);
    if (group > 1 && element.kind !== 'integer') {
      writeSlowly(type, place, value);
      return;
    }
    const list = fresh();
    emit(`const ${list}=${value};`);
    // Short lists and other things are the interpreter's.
    emit(
      `if(!Array.isArray(${list})||${list}.length!==${count}){if(${list}!==undefined&&!(Array.isArray(${list})&&${list}.length<${count}))return S(v,o,x);H.write(${typed(type)},v,${bitOf(place)},${list});}else{`,
    );
    const runs = group > 1 && place.bit % 8 === 0 && element.kind === 'integer' && isPart(element, place);
    const loop = block(() => {
      const at = keep(`${place.base}+i*${(element.bits * group) / 8}`);
      if (runs) {
        const run = Array.from({ length: group }, (_, index) => ({
          bits: element.bits,
          value: fitting(element, `${list}[i*${group}+${index}]`, undefined),
        }));
        for (const line of storeRun(at, place.bit / 8, run)) emit(line);
        return;
      }
      for (let index = 0; index < group; index += 1) {
        write(element, { base: at, bit: place.bit + index * element.bits }, `${list}[i*${group}+${index}]`);
      }
    });
    if (whole > 0) emit(`for(let i=0;i<${whole};i++){${loop}}`);
    for (let index = whole * group; index < count; index += 1) {
      write(element, moved(place, index * element.bits), `${list}[${index}]`);
    }
    emit('}');
  }

  function block(fill: () => void): string {
    const outside = lines;
    lines = [];
    fill();
    const inside = text();
    lines = outside;
    return inside;
  }

  return { types, read, write, text, emit, block };
}

/** Whether a struct, or an anonymous member of it, has a tagged union as a field: only the interpreter reads one. */
function holdsTagged(type: ResolvedStruct): boolean {
  return type.fields.some(
    (item) =>
      item.type.kind === 'tagged' || (item.anonymous === true && item.type.kind === 'struct' && holdsTagged(item.type)),
  );
}

/** Whether an integer is a part of bytes that other fields have the rest of, most significant bit first. */
function isPart(type: ResolvedInteger, place: Place): boolean {
  const ordered = type.endian === 'big' || type.bits <= 8;
  return !type.wide && type.order === 'msb' && ordered && !isDirect(type, place);
}

/** The integral structs inside one, by the path of names that leads to them. */
function nestedIntegrals(type: ResolvedIntegral, path: readonly string[] = []): [path: string, ResolvedIntegral][] {
  return type.fields.flatMap((item) => {
    if (item.type.kind !== 'integral') return [];
    const inner = [...path, item.name];
    return [[inner.join('.'), item.type] as [string, ResolvedIntegral], ...nestedIntegrals(item.type, inner)];
  });
}

const pathKey = (part: FlatSlice | undefined): string => part?.path.join('.') ?? '';
const literal = (value: number | bigint): string => (typeof value === 'bigint' ? `${value}n` : `${value}`);

/** Compiles a decoder; what it finds wrong it leaves to `slow`, which says where. */
export function generateDecode(type: ResolvedType, slow: Decode, copy: boolean): Decode {
  const made = generator(copy);
  const value = made.read(type, { base: 'o', bit: 0 });
  return make('v,o', `${made.text()}\nreturn ${value};`, made.types, slow);
}

/** Compiles an encoder; what does not fit it leaves to `slow`, which says why. */
export function generateEncode(type: ResolvedType, slow: Encode): Encode {
  const made = generator(true);
  made.write(type, { base: 'o', bit: 0 }, 'x');
  return make('v,o,x', made.text(), made.types, slow);
}
