import { nearest } from './nearest.js';
import { OTHER_COMMANDS, OTHER_OPERANDS, OTHER_OPTIONS } from './other-programs.js';

function entry(table: Readonly<Record<string, string>> | undefined, word: string): string | undefined {
  return table !== undefined && Object.hasOwn(table, word) ? table[word] : undefined;
}

function guess(word: string, known: readonly string[]): string | undefined {
  const meant = nearest(word, known);
  return meant === undefined ? undefined : `did you mean ${meant}?`;
}

function inBrackets(advice: string | undefined): string {
  return advice === undefined ? '' : ` (${advice})`;
}

/** What to write instead of an unknown command, in brackets and with a space before; '' where nothing comes to mind. */
export function adviceOnCommand(word: string, known: readonly string[]): string {
  return inBrackets(entry(OTHER_COMMANDS, word) ?? guess(word, known));
}

/**
 * The same for an unknown option.
 * @param option without its value
 * @param known the options that there are
 */
export function adviceOnOption(command: string, option: string, known: readonly string[]): string {
  const elsewhere = entry(OTHER_OPTIONS[command], option) ?? entry(OTHER_OPTIONS['*'], option);
  // Of one letter, any other is as near.
  const near = option.startsWith('--') ? guess(option, known) : longOfShort(option, known);
  return inBrackets(elsewhere ?? near);
}

/** `-json` is `--json`. */
function longOfShort(option: string, known: readonly string[]): string | undefined {
  return option.length > 2 ? guess(`-${option}`, known) : undefined;
}

/** The same for a word of dd: `cuont=1`, or `count` without a value. */
export function adviceOnOperand(token: string, known: readonly string[]): string {
  const [name = '', ...value] = token.split('=');
  if (value.length === 0) {
    return inBrackets(known.includes(name) ? `write ${name}=VALUE` : undefined);
  }
  const meant = nearest(name, known);
  return inBrackets(entry(OTHER_OPERANDS, name) ?? (meant === undefined ? undefined : `did you mean ${meant}=?`));
}
