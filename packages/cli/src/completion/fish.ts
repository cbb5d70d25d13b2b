import type { CommandDescription } from '../commands/description.js';
import { firstSentence, placesOf, valueOf, type ValueKind } from './places.js';

function quoted(text: string): string {
  return `'${text.replace(/['\\]/g, '\\$&')}'`;
}

function value(kind: ValueKind): string {
  switch (kind.kind) {
    case 'words':
      return ` -x -a ${quoted(kind.words.join(' '))}`;
    case 'file':
      return ' -r -F';
    case 'directory':
      return " -x -a '(__fish_complete_directories)'";
    case 'other':
      return ' -x';
  }
}

function when(path: string): string {
  return `-n ${quoted(
    path
      .split(' ')
      .map((word) => `__fish_seen_subcommand_from ${word}`)
      .join('; and '),
  )}`;
}

function ofCommand(path: string, command: CommandDescription): readonly string[] {
  const options = command.options.map((option) => {
    const { short, long, value: taken, about } = option;
    const names = `${short === undefined ? '' : ` -s ${short.slice(1)}`}${long === undefined ? '' : ` -l ${long.slice(2)}`}`;
    return `complete -c instar ${when(path)}${names}${taken === undefined ? '' : value(valueOf(option))} -d ${quoted(firstSentence(about))}`;
  });
  const operands = command.operands
    .filter(({ name }) => name.endsWith('='))
    .flatMap(({ name, about, choices = [] }) => {
      const shown = `complete -c instar -f ${when(path)} -d ${quoted(firstSentence(about))} -a`;
      if (choices.length > 0) return [`${shown} ${quoted(choices.map((word) => `${name}${word}`).join(' '))}`];
      return [`${shown} ${quoted(/^[io]f=$/.test(name) ? `${name} (__instar_files ${name})` : name)}`];
    });
  const subcommands = command.subcommands.map(
    (each) =>
      `complete -c instar -f -n ${quoted(`__fish_seen_subcommand_from ${path}; and not __fish_seen_subcommand_from ${command.subcommands.map(({ name }) => name).join(' ')}`)} -a ${each.name} -d ${quoted(firstSentence(each.about))}`,
  );
  return [...options, ...operands, ...subcommands];
}

/** The completions of fish, to be sourced. */
export function fishCompletion(commands: readonly CommandDescription[]): string {
  const lines = commands.map(
    ({ name, about }) => `complete -c instar -f -n __fish_use_subcommand -a ${name} -d ${quoted(firstSentence(about))}`,
  );
  return `# Completions of instar for fish: instar completion fish | source
function __instar_files
  set -l typed (string replace -- $argv[1] '' (commandline -ct))
  for file in (__fish_complete_path $typed)
    echo $argv[1]$file
  end
end
complete -c instar -n __fish_use_subcommand -l version -d 'the version'
complete -c instar -n __fish_use_subcommand -l help -d 'how instar is called'
complete -c instar -f -n __fish_use_subcommand -a help -d 'How a command is called'
complete -c instar -f -n '__fish_seen_subcommand_from help' -a ${quoted(commands.map(({ name }) => name).join(' '))}
${[...lines, ...placesOf(commands).flatMap(({ path, command }) => ofCommand(path, command))].join('\n')}
`;
}
