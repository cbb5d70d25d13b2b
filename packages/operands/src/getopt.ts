import { OperandError, type TokenReference } from './errors.js';
import { quote } from './quote.js';

/** One option that a command knows. */
export interface OptionSpec<Name extends string> {
  readonly name: Name;
  /** Long spelling without dashes. */
  readonly long: string;
  /** Letter of the short spelling. */
  readonly short?: string;
  /** What the argument is called in messages; absent where the option takes none. */
  readonly argument?: string;
}

/** An option or operand, in the order of the tokens. */
export type Scanned<Name extends string> =
  | { readonly kind: 'operand'; readonly at: TokenReference }
  | {
      readonly kind: 'option';
      readonly name: Name;
      /** The argument; empty where the option takes none. */
      readonly value: string;
      /** The token that holds the argument, or the option where it takes none. */
      readonly at: TokenReference;
    };

/**
 * Tells options from operands by the rules of GNU getopt_long, which qemu-img uses: options and operands mix, `--` ends
 * the options, letters cluster (`-Uf raw`), an argument is the rest of its token or the next token whatever that looks
 * like, and long options may be abbreviated as long as one option is meant.
 *
 * Lazy: a caller that stops early (at `--help`) never hears of mistakes further right.
 *
 * @throws {@link OperandError} `UNKNOWN_OPTION`, `AMBIGUOUS_OPTION`, `MISSING_OPTION_ARGUMENT`, `UNEXPECTED_OPTION_ARGUMENT`
 */
export function* scanTokens<Name extends string>(
  tokens: readonly string[],
  specs: readonly OptionSpec<Name>[],
): Generator<Scanned<Name>, void, undefined> {
  let index = 0;
  for (; index < tokens.length; index += 1) {
    const token = tokens[index] ?? '';
    const at = { token, position: { index, offset: 0 } };
    if (token === '--') {
      index += 1;
      break;
    }
    if (token.startsWith('--')) {
      const { spec, value } = matchLong(at, specs);
      if (spec.argument === undefined) {
        if (value !== undefined) {
          throw new OperandError(
            'UNEXPECTED_OPTION_ARGUMENT',
            `option '--${spec.long}' takes no argument, but ${quote(value.text)} was given: remove '=' and what follows`,
            { token, position: { index, offset: value.offset } },
          );
        }
        yield { kind: 'option', name: spec.name, value: '', at };
      } else if (value !== undefined) {
        const valueAt = { token, position: { index, offset: value.offset } };
        yield { kind: 'option', name: spec.name, value: value.text, at: valueAt };
      } else {
        index += 1;
        yield argumentFromNext(tokens, index, spec, spec.argument, `--${spec.long}`, at);
      }
    } else if (token.startsWith('-') && token !== '-') {
      for (let offset = 1; offset < token.length; offset += 1) {
        const letter = String.fromCodePoint(token.codePointAt(offset) ?? 0);
        const spec = specs.find((candidate) => candidate.short === letter);
        const letterAt = { token, position: { index, offset } };
        if (spec === undefined) {
          throw new OperandError('UNKNOWN_OPTION', `unknown option ${quote(`-${letter}`)}: see --help`, letterAt);
        }
        if (spec.argument === undefined) {
          yield { kind: 'option', name: spec.name, value: '', at: letterAt };
          continue;
        }
        const rest = token.slice(offset + 1);
        if (rest !== '') {
          const restAt = { token, position: { index, offset: offset + 1 } };
          yield { kind: 'option', name: spec.name, value: rest, at: restAt };
        } else {
          index += 1;
          yield argumentFromNext(tokens, index, spec, spec.argument, `-${letter}`, letterAt);
        }
        break;
      }
    } else {
      yield { kind: 'operand', at };
    }
  }
  for (; index < tokens.length; index += 1) {
    yield { kind: 'operand', at: { token: tokens[index] ?? '', position: { index, offset: 0 } } };
  }
}

function argumentFromNext<Name extends string>(
  tokens: readonly string[],
  index: number,
  spec: OptionSpec<Name>,
  argument: string,
  spelling: string,
  at: TokenReference,
): Scanned<Name> {
  const value = tokens[index];
  if (value === undefined) {
    const message = `option '${spelling}' needs an argument: expected ${argument} behind it`;
    throw new OperandError('MISSING_OPTION_ARGUMENT', message, at);
  }
  return { kind: 'option', name: spec.name, value, at: { token: value, position: { index, offset: 0 } } };
}

function matchLong<Name extends string>(
  at: TokenReference,
  specs: readonly OptionSpec<Name>[],
): { spec: OptionSpec<Name>; value?: { text: string; offset: number } } {
  const equals = at.token.indexOf('=');
  const name = at.token.slice(2, equals === -1 ? undefined : equals);
  const exact = specs.filter((spec) => spec.long === name);
  const candidates = exact.length > 0 ? exact : specs.filter((spec) => spec.long.startsWith(name));
  const [spec, ...others] = candidates;
  if (spec === undefined) {
    throw new OperandError('UNKNOWN_OPTION', `unknown option ${quote(`--${name}`)}: see --help`, at);
  }
  if (others.length > 0) {
    const meanings = candidates.map((candidate) => `'--${candidate.long}'`).join(' or ');
    throw new OperandError(
      'AMBIGUOUS_OPTION',
      `option ${quote(`--${name}`)} can mean ${meanings}: write more of it`,
      at,
    );
  }
  return equals === -1 ? { spec } : { spec, value: { text: at.token.slice(equals + 1), offset: equals + 1 } };
}
