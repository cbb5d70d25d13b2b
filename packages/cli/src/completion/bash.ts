import type { CommandDescription } from '../commands/description.js';
import { placesOf, valueOf, type ValueKind } from './places.js';

function quoted(words: readonly string[]): string {
  return `'${words.join(' ').replaceAll("'", String.raw`'\''`)}'`;
}

function generate(value: ValueKind): string {
  switch (value.kind) {
    case 'words':
      return `mapfile -t COMPREPLY < <(compgen -W ${quoted(value.words)} -- "$current")`;
    case 'file':
      return 'compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$current")';
    case 'directory':
      return 'compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$current")';
    case 'other':
      return ':';
  }
}

/** The arms of the value of each option and operand of a command. */
function valueArms(path: string, command: CommandDescription): readonly string[] {
  const ofOptions = command.options
    .filter(({ value }) => value !== undefined)
    .map((option) => {
      const names = [
        ...(option.short === undefined ? [] : [option.short]),
        ...(option.long === undefined ? [] : [option.long, `${option.long}=`]),
      ];
      return `    ${names.map((name) => `'${path}:${name}'`).join('|')}) ${generate(valueOf(option))}; return ;;`;
    });
  const ofOperands = command.operands
    .filter(({ name }) => name.endsWith('='))
    .map(({ name, choices = [] }) => {
      const value: ValueKind =
        choices.length > 0 ? { kind: 'words', words: choices } : { kind: /^[io]f=$/.test(name) ? 'file' : 'other' };
      return `    '${path}:${name}') ${generate(value)}; return ;;`;
    });
  return [...ofOptions, ...ofOperands];
}

function wordsArm(path: string, { options, operands, subcommands }: CommandDescription): string {
  const flags = options.flatMap(({ short, long }) => [short, long]).filter((name) => name !== undefined);
  const words = [
    ...subcommands.map(({ name }) => name),
    ...operands.map(({ name }) => name).filter((name) => name.endsWith('=')),
  ];
  return `    '${path}') options=${quoted(flags)}; words=${quoted(words)} ;;`;
}

/** The completions of bash, to be sourced. */
export function bashCompletion(commands: readonly CommandDescription[]): string {
  const places = placesOf(commands);
  const parents = commands.filter(({ subcommands }) => subcommands.length > 0).map(({ name }) => name);
  return `# Completions of instar for bash: source <(instar completion bash)
_instar() {
  local current=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} path=\${COMP_WORDS[1]} options= words=
  COMPREPLY=()
  # bash takes if=FILE for three words.
  if [[ $current == '=' ]]; then
    current=
    before+='='
  elif [[ $before == '=' && $COMP_CWORD -gt 2 ]]; then
    before=\${COMP_WORDS[COMP_CWORD-2]}=
  fi
  if [[ $COMP_CWORD -eq 1 ]]; then
    mapfile -t COMPREPLY < <(compgen -W ${quoted([...commands.map(({ name }) => name), 'help', '--help', '--version'])} -- "$current")
    return
  fi
  case $path in
    help) mapfile -t COMPREPLY < <(compgen -W ${quoted(commands.map(({ name }) => name))} -- "$current"); return ;;
    ${parents.length === 0 ? "''" : parents.join('|')}) [[ $COMP_CWORD -gt 2 ]] && path+=" \${COMP_WORDS[2]}" ;;
  esac
  case $path:$before in
${places.flatMap(({ path, command }) => valueArms(path, command)).join('\n')}
  esac
  case $path in
${places.map(({ path, command }) => wordsArm(path, command)).join('\n')}
  esac
  if [[ $current == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
  else
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
    if [[ \${COMPREPLY[0]} == *= ]]; then
      compopt -o nospace
    elif [[ \${#COMPREPLY[@]} -eq 0 ]]; then
      compopt -o filenames
      mapfile -t COMPREPLY < <(compgen -f -- "$current")
    fi
  fi
}
complete -F _instar instar
`;
}
