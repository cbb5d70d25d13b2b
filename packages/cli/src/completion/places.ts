import type { CommandDescription, OptionDescription } from '../commands/description.js';

/** Where on a command line something is completed: behind which command. */
export interface Place {
  /** Words of the command, such as `vmcore info`. */
  readonly path: string;
  readonly command: CommandDescription;
}

/** Every command and subcommand. */
export function placesOf(commands: readonly CommandDescription[], before = ''): readonly Place[] {
  return commands.flatMap((command) => {
    const path = `${before}${command.name}`;
    return [{ path, command }, ...placesOf(command.subcommands, `${path} `)];
  });
}

/** What is completed where a value stands. */
export type ValueKind =
  { readonly kind: 'words'; readonly words: readonly string[] } | { readonly kind: 'file' | 'directory' | 'other' };

/** Of an option that takes a value. */
export function valueOf({ value = '', choices }: OptionDescription): ValueKind {
  if (choices.length > 0) return { kind: 'words', words: choices };
  if (/^(file|socket)/.test(value.toLowerCase())) return { kind: 'file' };
  return { kind: value.toLowerCase() === 'dir' ? 'directory' : 'other' };
}

/** A sentence without what a shell would not show on one line. */
export function firstSentence(text: string): string {
  return text.replace(/[.:;] .*$/s, '').replace(/\.$/, '');
}
