import { readAssembly, type Assembly } from './assembly.js';
import { sizeOf, type CField, type CRecord, type CScalar, type CType } from './c-types.js';
import type { Compiler } from './compiler.js';
import { ExtractError } from './errors.js';

// The second way to every number: a probe whose initialised data states sizes, offsets, alignments and signedness as the
// compiler evaluates them, and one object for each bit field with only that field set to ones. Nothing of the debug
// information goes into the probe but names.

/** Alignment in bytes of types, as they lie in a struct. */
export type Alignments = ReadonlyMap<CType, number>;

interface Question {
  /** What is asked, for people. */
  readonly about: string;
  /** A constant expression. */
  readonly expression: string;
  /** The answer of the debug information; undefined where it has none. */
  readonly expected: bigint | undefined;
  readonly learn?: (answer: number) => void;
}

interface BitQuestion {
  readonly about: string;
  readonly owner: CRecord;
  readonly field: CField;
  /** Bits from the start of the owner. */
  bit: number;
  readonly width: number;
  readonly object: string;
  readonly sign: string | undefined;
}

class Probe {
  readonly lines: string[] = [];
  readonly questions: Question[] = [];
  readonly bits: BitQuestion[] = [];
  readonly aligns = new Map<CType, number>();
  readonly #seen = new Set<CType>();
  readonly #assign: boolean;
  #types = 0;

  readonly #isPlusPlus: boolean;

  constructor(assign: boolean, isPlusPlus: boolean) {
    this.#assign = assign;
    this.#isPlusPlus = isPlusPlus;
  }

  type(expression: string): string {
    const name = `instar_type_${this.#types}`;
    this.#types += 1;
    this.lines.push(`typedef ${expression} ${name};`);
    return name;
  }

  ask(about: string, expression: string, expected: number | bigint | boolean | undefined): void {
    this.questions.push({ about, expression, expected: expected === undefined ? undefined : BigInt(expected) });
  }

  /** Asks all about a type that has the name `name` in the probe. */
  askType(type: CType, name: string, about: string): void {
    if (this.#seen.has(type)) return;
    this.#seen.add(type);
    if (type.kind === 'array') {
      this.askType(type.element, this.type(`__typeof__((*(${name} *)0)[0])`), `${about}[0]`);
      return;
    }
    this.ask(`sizeof(${about})`, `sizeof(${name})`, type.size);
    this.questions.push({
      about: `alignment of ${about}`,
      // C++ has no new types inside expressions, and `alignof` of a type says what a member of it has.
      expression: this.#isPlusPlus ? `alignof(${name})` : `__builtin_offsetof(struct { char c; ${name} x; }, x)`,
      expected: undefined,
      learn: (answer) => this.aligns.set(type, answer),
    });
    if ('fields' in type) this.#askFields(type, type, name, about, 0);
    else if ('values' in type) this.#askScalar(type, name, about);
  }

  #askScalar(type: CScalar, name: string, about: string): void {
    if (type.kind === 'integer' || type.kind === 'enum') {
      this.ask(`whether ${about} is signed`, `((${name})-1 < (${name})1)`, type.signed);
    }
    // Enumerators of C++ have scopes that the debug information of the type does not say.
    for (const [constant, value] of this.#isPlusPlus ? [] : type.values)
      this.ask(constant, `(long long)${constant}`, BigInt.asUintN(64, value));
  }

  /** @param base Bits from the start of the named owner to an anonymous record inside it. */
  #askFields(owner: CRecord, record: CRecord, name: string, about: string, base: number): void {
    for (const field of record.fields) {
      const { type, width } = field;
      const bit = base + field.bit;
      if (field.name === undefined) {
        if (type.kind === 'struct' || type.kind === 'union') this.#askFields(owner, type, name, about, bit);
        continue;
      }
      const path = `${about}.${field.name}`;
      // C++ initialises aggregates alone, and gives what it adds itself names that nobody can write.
      if (this.#isPlusPlus && (width !== undefined || !/^\w+$/.test(field.name))) continue;
      if (width !== undefined) {
        const index = this.bits.length;
        const object = `instar_bits_${index}`;
        const sign = type.kind === 'integer' || type.kind === 'enum' ? `instar_sign_${index}` : undefined;
        const value = `{ .${field.name} = -1 }`;
        this.lines.push(`${name} ${object} = ${value};`);
        if (sign !== undefined) {
          this.lines.push(
            // The branch that is not taken goes, and with it its directive. The value of an assignment is folded even
            // where a compiler does not see through the memory of a field that crosses words; const fields have none.
            ...(this.#assign
              ? [`void ${object}_sign(void) { ${name} v; if ((v.${field.name} = -1) < 0)`]
              : [`void ${object}_sign(void) { ${name} v = ${value}; if (v.${field.name} < 0)`]),
            `  __asm__ volatile (".set ${sign}, 1"); else __asm__ volatile (".set ${sign}, 0"); }`,
          );
        }
        this.bits.push({ about: path, owner, field, bit, width, object, sign });
        if (type.kind === 'enum') {
          for (const [constant, number] of type.values) {
            this.ask(constant, `(long long)${constant}`, BigInt.asUintN(64, number));
          }
        }
        continue;
      }
      this.ask(`offsetof(${path})`, `__builtin_offsetof(${name}, ${field.name})`, bit / 8);
      const place = `((${name} *)0)->${field.name}`;
      // The last member may be a flexible array, which has no size; that of a reference is the size of something else.
      if ('reference' in type && type.reference) continue;
      if (type.kind !== 'array' || type.count > 0) this.ask(`sizeof(${path})`, `sizeof(${place})`, sizeOf(type));
      let element: CType = type;
      let index = '';
      while (element.kind === 'array') {
        element = element.element;
        index += '[0]';
        this.ask(`sizeof(${path}${index})`, `sizeof(${place}${index})`, sizeOf(element));
      }
      this.askType(element, this.type(`__typeof__(${place}${index})`), `${path}${index}`);
    }
  }
}

/** What the target's description says must be what the compiler does, whatever packing it was told. */
function askTarget(probe: Probe, { target, isPlusPlus, isPlain }: Compiler): void {
  probe.lines.push('struct instar_unnamed { char c; int : 1; };');
  probe.ask('sizeof(void *)', 'sizeof(void *)', target.wordBits / 8);
  probe.ask('whether it is little endian', '(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)', target.endian === 'little');
  probe.ask('alignment of long long', `${isPlusPlus ? 'alignof' : '_Alignof'}(long long)`, target.align64);
  probe.ask(
    'whether unnamed bit fields align',
    '(sizeof(struct instar_unnamed) == 4)',
    isPlain ? target.unnamedBitFieldsAlign : undefined,
  );
}

const TARGET_QUESTIONS = 4;

function contradiction(about: string, debug: unknown, probe: unknown): ExtractError {
  return new ExtractError(
    'EXTRACT_CONTRADICTION',
    `${about}: the debug information says ${String(debug)}, the initialised data ${String(probe)}`,
  );
}

function checkBits(item: BitQuestion, assembly: Assembly): void {
  const bytes = assembly.object(item.object, item.owner.size);
  const set: number[] = [];
  for (const [at, byte] of bytes.entries()) {
    for (let inside = 0; byte !== 0 && inside < 8; inside += 1) {
      const place = (item.field.endian ?? assembly.endian) === 'little' ? inside : 7 - inside;
      if (((byte >> place) & 1) === 1) set.push(at * 8 + inside);
    }
  }
  const first = set[0] ?? -1;
  const last = set.at(-1) ?? -1;
  if (item.field.byteOnly && first >= item.bit && first < item.bit + 8 && set.length === item.width) {
    item.field.bit += first - item.bit;
    item.field.byteOnly = false;
    item.bit = first;
  }
  if (first !== item.bit || last !== item.bit + item.width - 1 || set.length !== item.width) {
    throw contradiction(item.about, `bits ${item.bit} to ${item.bit + item.width - 1}`, `bits ${first} to ${last}`);
  }
  if (item.sign === undefined || item.field.type.kind === 'array') return;
  const signed = 'signed' in item.field.type && item.field.type.signed ? 1 : 0;
  const answers = assembly.settings.get(item.sign) ?? [];
  if (answers.length !== 1 || answers[0] !== signed) {
    throw contradiction(`whether ${item.about} is signed`, signed, answers.join(' and ') || 'nothing');
  }
}

/**
 * Has the compiler confirm what its debug information said, and learns the alignments, which that does not say.
 * @param types Each with the name by which C knows it.
 * @throws ExtractError `EXTRACT_CONTRADICTION`, `EXTRACT_TARGET`.
 */
export async function confirm(
  compiler: Compiler,
  types: readonly (readonly [name: string, type: CType])[],
): Promise<Alignments> {
  const ask = async (assign: boolean): Promise<readonly [Probe, string]> => {
    const probe = new Probe(assign, compiler.isPlusPlus);
    askTarget(probe, compiler);
    for (const [name, type] of types) probe.askType(type, probe.type(`__typeof__(${name})`), name);
    const source = [
      ...probe.lines,
      // A constant of C++ is not written where nobody can see it.
      `${compiler.isPlusPlus ? 'extern "C" __attribute__((used)) ' : ''}const unsigned long long instar_numbers[] = {`,
      ...probe.questions.map((item) => `  ${item.expression},`),
      '};',
      '',
    ].join('\n');
    return [probe, await compiler.assembly(source, ['-O1'])];
  };
  const [probe, text] = await ask(true).catch((error: unknown) => {
    if (error instanceof ExtractError && error.code === 'EXTRACT_COMPILER_FAILED') return ask(false);
    throw error;
  });
  const assembly = readAssembly(text, compiler.target);
  const bytes = assembly.object('instar_numbers', probe.questions.length * 8);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const [index, { about, expected, learn }] of probe.questions.entries()) {
    const answer = view.getBigUint64(index * 8, assembly.endian === 'little');
    if (expected !== undefined && answer !== expected) {
      if (index >= TARGET_QUESTIONS) throw contradiction(about, expected, answer);
      throw new ExtractError(
        'EXTRACT_TARGET',
        `${about}: found ${answer}, expected ${expected} for ${compiler.target.name}; another compiler or target is needed`,
      );
    }
    learn?.(Number(answer));
  }
  for (const item of probe.bits) checkBits(item, assembly);
  return probe.aligns;
}
