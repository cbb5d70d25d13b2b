import type { CommandDescription, OptionDescription } from '../commands/description.js';
import { firstSentence, valueOf, type ValueKind } from './places.js';

/** Text within single quotes in which colons and brackets have a meaning. */
function plain(text: string): string {
  return text.replace(/[\\:[\]]/g, '\\$&').replaceAll("'", String.raw`'\''`);
}

function action(value: ValueKind): string {
  switch (value.kind) {
    case 'words':
      return `(${value.words.join(' ')})`;
    case 'file':
      return '_files';
    case 'directory':
      return '_files -/';
    case 'other':
      return ' ';
  }
}

function optionSpecs(option: OptionDescription): readonly string[] {
  const { short, long, value, about } = option;
  const rest = value === undefined ? '' : `:${plain(value)}:${action(valueOf(option))}`;
  const text = `[${plain(firstSentence(about))}]`;
  return [
    ...(short === undefined ? [] : [`'*${short}${value === undefined ? '' : '+'}${text}${rest}'`]),
    ...(long === undefined ? [] : [`'*${long}${value === undefined ? '' : '='}${text}${rest}'`]),
  ];
}

function operandsFunction(name: string, { operands }: CommandDescription): string {
  const arms = operands
    .filter((operand) => operand.name.endsWith('='))
    .map((operand) => {
      const { choices = [] } = operand;
      const file = /^[io]f=$/.test(operand.name);
      const filled = choices.length > 0 ? `compadd -- ${choices.join(' ')}` : file ? '_files' : ':';
      return `    ${operand.name}*) compset -P ${operand.name}; ${filled} ;;`;
    });
  if (arms.length === 0) return '';
  const listed = operands
    .filter((operand) => operand.name.endsWith('='))
    .map((operand) => `'${plain(operand.name.slice(0, -1))}:${plain(firstSentence(operand.about))}'`);
  return `_instar_${name}_operands() {
  case $PREFIX in
${arms.join('\n')}
    *) local -a names=(${listed.join(' ')}); _describe operand names -S = ;;
  esac
}
`;
}

function commandFunction(name: string, command: CommandDescription): string {
  const specs = command.options.flatMap(optionSpecs);
  const inner = command.subcommands.map((each) => commandFunction(`${name}_${each.name}`, each)).join('');
  if (command.subcommands.length > 0) {
    const listed = command.subcommands.map((each) => `'${each.name}:${plain(firstSentence(each.about))}'`).join(' ');
    return `${inner}_instar_${name}() {
  local line state
  _arguments -C ${specs.join(' ')} '1: :->command' '*:: :->rest'
  case $state in
    command) local -a commands=(${listed}); _describe command commands ;;
    rest) (( $+functions[_instar_${name}_$line[1]] )) && _instar_${name}_$line[1] ;;
  esac
}
`;
  }
  const operands = operandsFunction(name, command);
  const rest = operands === '' ? "'*:file:_files'" : `'*: :_instar_${name}_operands'`;
  return `${operands}_instar_${name}() {
  _arguments -s ${[...specs, rest].join(' \\\n    ')}
}
`;
}

/** The completions of zsh: a file `_instar` in a directory of fpath, or to be sourced. */
export function zshCompletion(commands: readonly CommandDescription[]): string {
  const listed = [
    ...commands.map((each) => [each.name, firstSentence(each.about)]),
    ['help', 'How a command is called'],
  ]
    .map(([name = '', about = '']) => `'${name}:${plain(about)}'`)
    .join('\n      ');
  return `#compdef instar
# Completions of instar for zsh: instar completion zsh > "\${fpath[1]}/_instar"
${commands.map((command) => commandFunction(command.name, command)).join('')}
_instar() {
  local line state
  _arguments -C '--help[how instar is called]' '--version[the version]' '1: :->command' '*:: :->rest'
  case $state in
    command)
      local -a commands=(${listed})
      _describe command commands ;;
    rest) (( $+functions[_instar_$line[1]] )) && _instar_$line[1] ;;
  esac
}
if [[ $funcstack[1] == _instar ]]; then _instar "$@"; else compdef _instar instar; fi
`;
}
