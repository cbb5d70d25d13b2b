import { escapeText } from '@instar/engine';
import { OperandError, parseDuration, parseSize } from '@instar/operands';
import type * as CommanderModule from 'commander';
import type { CommanderError } from 'commander';
import { adviceOnOption } from '../words/advice.js';
import type { ReaderOfChoices } from './description.js';

/** Readers of option values, whose errors are one line about the option. */
export interface ValueReaders {
  /** A size or an offset, as dd reads it. */
  readonly size: (value: string) => bigint;
  /** A size within bounds. */
  sizeWithin(least: bigint, most: bigint): (value: string) => bigint;
  /** A whole number within bounds, hexadecimal behind `0x`. */
  whole(least: number, most: number): (value: string) => number;
  /** A duration (ms), such as `500ms` or `5m`. */
  readonly time: (value: string) => number;
  oneOf<const T extends readonly string[]>(choices: T): ReaderOfChoices<T[number]>;
}

/** The package that reads command lines, which is loaded where it is needed. */
export type Commander = typeof CommanderModule;

/** Readers whose errors are those of commander. */
export function readers(commander: Commander): ValueReaders {
  const checked =
    <T>(parse: (value: string) => T) =>
    (value: string): T => {
      try {
        return parse(value);
      } catch (error) {
        if (!(error instanceof OperandError)) throw error;
        throw new commander.InvalidArgumentError(error.message);
      }
    };
  const within = <T extends bigint | number>(found: T, least: T, most: T): T => {
    if (found < least || found > most) throw new commander.InvalidArgumentError(`expected ${least} to ${most}`);
    return found;
  };
  const size = checked(parseSize);
  return {
    size,
    sizeWithin: (least, most) => (value) => within(/^-\d+$/.test(value) ? BigInt(value) : size(value), least, most),
    whole: (least, most) => (value) => {
      const [, sign, digits] = /^(-?)(\d+|0x[\da-f]+)$/i.exec(value) ?? [];
      if (digits === undefined) throw new commander.InvalidArgumentError('expected a number');
      return within(sign === '-' ? -Number(digits) : Number(digits), least, most);
    },
    time: checked((value) => parseDuration(value)),
    oneOf(choices) {
      const reader = (value: string): (typeof choices)[number] => {
        if (!choices.includes(value)) throw new commander.InvalidArgumentError(`expected ${choices.join(' or ')}`);
        return value;
      };
      return Object.assign(reader, { choices });
    },
  };
}

/** Reads an option that may be repeated. */
export function several(value: string, earlier: readonly string[]): readonly string[] {
  return [...earlier, value];
}

/** What is wrong with the command line. The value of an option that is unknown may be a secret (`--passphrase=…`). */
export function usage({ message }: CommanderError, name: string, known: readonly string[] | undefined): string {
  const text = message.replace(/^error: /, '').replace(/^(unknown option '--[^=']*)=.*'$/s, "$1'");
  const [, unknown] = /^unknown option '(.*)'$/s.exec(text) ?? [];
  const advice = unknown === undefined || known === undefined ? '' : adviceOnOption(name, unknown, known);
  return `${escapeText(text)}${advice}`;
}
