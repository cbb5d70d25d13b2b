import { layoutError } from '../layout/errors.js';

// The expressions of Kaitai Struct (its user guide, "Expression language"), as far as they ask about values: numbers, names,
// comparisons, arithmetic. Whole numbers are exact, whatever their width.

/** A parsed expression. */
export type Expression =
  | { readonly kind: 'value'; readonly value: bigint | boolean | string }
  | { readonly kind: 'name'; readonly path: readonly string[] }
  | { readonly kind: 'constant'; readonly path: readonly string[] }
  | { readonly kind: 'unary'; readonly operator: string; readonly operand: Expression }
  | { readonly kind: 'binary'; readonly operator: string; readonly left: Expression; readonly right: Expression }
  | {
      readonly kind: 'choice';
      readonly condition: Expression;
      readonly yes: Expression;
      readonly no: Expression;
    };

const TOKEN =
  /\s*(?:(0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|[0-9][0-9_]*(?!\.[0-9]))|('[^']*'|"[^"\\]*")|([A-Za-z_][A-Za-z0-9_]*(?:::[A-Za-z_][A-Za-z0-9_]*)*)|(<<|>>|<=|>=|==|!=|[-+*/%&|^~<>?:().]))/y;

/** Operators from the loosest to the tightest; those of one line bind alike. */
const LEVELS: readonly (readonly string[])[] = [
  ['or'],
  ['and'],
  ['<', '<=', '>', '>=', '==', '!='],
  ['|'],
  ['^'],
  ['&'],
  ['<<', '>>'],
  ['+', '-'],
  ['*', '/', '%'],
];
/** Where `not` stands: before a comparison. */
const COMPARISON = 2;
/** Expressions inside each other; more is an attack on the stack. */
const MOST_DEPTH = 64;

type Token = { readonly kind: 'number' | 'text' | 'word' | 'sign'; readonly text: string };

/** @throws LayoutError `LAYOUT_UNSUPPORTED` for what is not understood */
function unsupported(text: string, problem: string, path: string): Error {
  return layoutError('LAYOUT_UNSUPPORTED', `${problem} in the expression ${JSON.stringify(text)}`, path, 0, text);
}

class Parser {
  readonly #text: string;
  readonly #path: string;
  readonly #tokens: Token[] = [];
  #at = 0;
  #depth = 0;

  constructor(text: string, path: string) {
    this.#text = text;
    this.#path = path;
    const pattern = new RegExp(TOKEN);
    while (pattern.lastIndex < text.trimEnd().length) {
      const place = pattern.lastIndex;
      const found = pattern.exec(text);
      if (found === null) throw this.#refuse(`found ${JSON.stringify(text.slice(place, place + 10))}`);
      const [, number, quoted, word, sign = ''] = found;
      if (number !== undefined) this.#tokens.push({ kind: 'number', text: number.replaceAll('_', '') });
      else if (quoted !== undefined) this.#tokens.push({ kind: 'text', text: quoted.slice(1, -1) });
      else if (word !== undefined) this.#tokens.push({ kind: 'word', text: word });
      else this.#tokens.push({ kind: 'sign', text: sign });
    }
  }

  #refuse(problem: string): Error {
    return unsupported(this.#text, problem, this.#path);
  }

  whole(): Expression {
    const parsed = this.#choice();
    const rest = this.#tokens[this.#at];
    if (rest !== undefined) throw this.#refuse(`found ${JSON.stringify(rest.text)}`);
    return parsed;
  }

  #take(...texts: readonly string[]): string | undefined {
    const token = this.#tokens[this.#at];
    if (token === undefined || token.kind === 'text' || token.kind === 'number' || !texts.includes(token.text)) {
      return undefined;
    }
    this.#at += 1;
    return token.text;
  }

  #expect(text: string): void {
    if (this.#take(text) === undefined) throw this.#refuse(`found no ${text}`);
  }

  #choice(): Expression {
    this.#depth += 1;
    if (this.#depth > MOST_DEPTH) throw this.#refuse('found too much inside each other');
    const condition = this.#level(0);
    if (this.#take('?') === undefined) {
      this.#depth -= 1;
      return condition;
    }
    const yes = this.#choice();
    this.#expect(':');
    const no = this.#choice();
    this.#depth -= 1;
    return { kind: 'choice', condition, yes, no };
  }

  #level(level: number): Expression {
    const operators = LEVELS[level];
    if (operators === undefined) return this.#unary();
    if (level === COMPARISON && this.#take('not') !== undefined) return this.#negation(level);
    let left = this.#level(level + 1);
    for (;;) {
      const operator = this.#take(...operators);
      if (operator === undefined) return left;
      left = { kind: 'binary', operator, left, right: this.#level(level + 1) };
    }
  }

  #negation(level: number): Expression {
    this.#depth += 1;
    if (this.#depth > MOST_DEPTH) throw this.#refuse('found too much inside each other');
    const operand = this.#level(level);
    this.#depth -= 1;
    return { kind: 'unary', operator: 'not', operand };
  }

  #unary(): Expression {
    const operators: string[] = [];
    for (let next = this.#take('-', '+', '~'); next !== undefined; next = this.#take('-', '+', '~')) {
      operators.push(next);
      if (operators.length > MOST_DEPTH) throw this.#refuse('found too many signs');
    }
    return operators.reduceRight<Expression>(
      (operand, operator) => ({ kind: 'unary', operator, operand }),
      this.#primary(),
    );
  }

  #primary(): Expression {
    if (this.#take('(') !== undefined) {
      const inner = this.#choice();
      this.#expect(')');
      return inner;
    }
    const token = this.#tokens[this.#at];
    this.#at += 1;
    if (token === undefined) throw this.#refuse('found its end');
    if (token.kind === 'number') return { kind: 'value', value: BigInt(token.text) };
    if (token.kind === 'text') return { kind: 'value', value: token.text };
    if (token.kind === 'sign') throw this.#refuse(`found ${JSON.stringify(token.text)}`);
    if (token.text === 'true' || token.text === 'false') return { kind: 'value', value: token.text === 'true' };
    if (token.text.includes('::')) return { kind: 'constant', path: token.text.split('::') };
    const path = [token.text];
    while (this.#take('.') !== undefined) {
      const name = this.#tokens[this.#at];
      this.#at += 1;
      if (name?.kind !== 'word' || name.text.includes('::')) throw this.#refuse('found no name behind a dot');
      path.push(name.text);
    }
    if (this.#tokens[this.#at]?.text === '(') throw this.#refuse('found a call');
    return { kind: 'name', path };
  }
}

/** @throws LayoutError `LAYOUT_UNSUPPORTED`, naming what is not understood */
export function parseExpression(text: string, path: string): Expression {
  return new Parser(text, path).whole();
}

/** The value of a name, and of a constant of an enumeration. */
export type Scope = (path: readonly string[], kind: 'name' | 'constant') => unknown;

const whole = (value: unknown): bigint => {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'number' && Number.isInteger(value)) return BigInt(value);
  if (typeof value === 'boolean') return value ? 1n : 0n;
  throw layoutError('LAYOUT_VALUE', `found ${typeof value}, expected a whole number`, 'expression', 0, value);
};

/** Whether two values are the same: numbers of any width, text, truth. */
function same(left: unknown, right: unknown): boolean {
  return typeof left === 'string' || typeof right === 'string' ? left === right : whole(left) === whole(right);
}

/** Shifts beyond this are slips, or an attack on memory. */
const MOST_SHIFT = 1024n;

function shift(left: bigint, right: bigint): bigint {
  if (right >= -MOST_SHIFT && right <= MOST_SHIFT) return left << right;
  throw layoutError('LAYOUT_RANGE', `found a shift by ${right}`, 'expression', 0, right);
}

/** A quotient rounded down, as Kaitai's. */
function divide(left: bigint, right: bigint): bigint {
  if (right === 0n) throw layoutError('LAYOUT_VALUE', 'found a division by zero', 'expression', 0, right);
  const quotient = left / right;
  return left % right !== 0n && left < 0n !== right < 0n ? quotient - 1n : quotient;
}

const BINARY: Readonly<Record<string, (left: unknown, right: unknown) => unknown>> = {
  '==': same,
  '!=': (left, right) => !same(left, right),
  '<': (left, right) => whole(left) < whole(right),
  '<=': (left, right) => whole(left) <= whole(right),
  '>': (left, right) => whole(left) > whole(right),
  '>=': (left, right) => whole(left) >= whole(right),
  '|': (left, right) => whole(left) | whole(right),
  '^': (left, right) => whole(left) ^ whole(right),
  '&': (left, right) => whole(left) & whole(right),
  '<<': (left, right) => shift(whole(left), whole(right)),
  '>>': (left, right) => shift(whole(left), -whole(right)),
  '+': (left, right) => whole(left) + whole(right),
  '-': (left, right) => whole(left) - whole(right),
  '*': (left, right) => whole(left) * whole(right),
  '/': (left, right) => divide(whole(left), whole(right)),
  '%': (left, right) => whole(left) - whole(right) * divide(whole(left), whole(right)),
};

/** What an expression comes to. @throws LayoutError `LAYOUT_VALUE` where values are not of the kind that it takes */
export function evaluate(expression: Expression, scope: Scope): unknown {
  switch (expression.kind) {
    case 'value':
      return expression.value;
    case 'name':
    case 'constant':
      return scope(expression.path, expression.kind);
    case 'unary': {
      const value = evaluate(expression.operand, scope);
      if (expression.operator === 'not') return !isTrue(value);
      if (expression.operator === '~') return ~whole(value);
      return expression.operator === '-' ? -whole(value) : whole(value);
    }
    case 'binary': {
      const { operator } = expression;
      const left = evaluate(expression.left, scope);
      if (operator === 'and' && !isTrue(left)) return false;
      if (operator === 'or' && isTrue(left)) return true;
      const right = evaluate(expression.right, scope);
      return operator === 'and' || operator === 'or' ? isTrue(right) : BINARY[operator]?.(left, right);
    }
    case 'choice':
      return evaluate(isTrue(evaluate(expression.condition, scope)) ? expression.yes : expression.no, scope);
  }
}

/** Whether a condition holds; a bit is one too. */
export function isTrue(value: unknown): boolean {
  return typeof value === 'boolean' ? value : whole(value) !== 0n;
}

/** The names in an expression. */
export function namesIn(expression: Expression): readonly (readonly string[])[] {
  switch (expression.kind) {
    case 'value':
    case 'constant':
      return [];
    case 'name':
      return [expression.path];
    case 'unary':
      return namesIn(expression.operand);
    case 'binary':
      return [...namesIn(expression.left), ...namesIn(expression.right)];
    case 'choice':
      return [...namesIn(expression.condition), ...namesIn(expression.yes), ...namesIn(expression.no)];
  }
}
