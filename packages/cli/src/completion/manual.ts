import type { CommandDescription, OptionDescription } from '../commands/description.js';
import { firstSentence } from './places.js';

/** Text as roff takes it: nothing of it is a request or an escape. */
function roff(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .split('\n')
    .map((line) => (/^[.']/.test(line) ? `\\&${line}` : line))
    .join('\n');
}

function bold(text: string): string {
  return `\\fB${roff(text)}\\fR`;
}

function optionEntry({ short, long, value, about, choices }: OptionDescription): string {
  const names = [short, long].filter((name) => name !== undefined).map(bold);
  const known =
    choices.length > 0 && !choices.every((choice) => about.includes(choice)) ? `; one of ${choices.join(', ')}` : '';
  return `.TP\n${names.join(', ')}${value === undefined ? '' : ` \\fI${roff(value)}\\fR`}\n${roff(about + known)}\n`;
}

/** Paragraphs of help, whose line ends and indents mean something. */
function asItStands(text: string): string {
  return `.PP\n.nf\n${roff(text.trim())}\n.fi\n`;
}

function subcommandSection(command: CommandDescription): string {
  const options = command.options.filter(({ long }) => long !== '--help').map(optionEntry);
  return `.SS ${bold(command.name)} ${roff(command.usage)}\n${roff(command.about)}\n${options.join('')}`;
}

/** Variables of the environment, for every page. */
const ENVIRONMENT: readonly (readonly [name: string, about: string])[] = [
  ['INSTAR_SANDBOX', 'kvm, process or auto: what --sandbox is where it is not given'],
  ['INSTAR_ALLOW_PATH', 'directories, separated by colons, that --allow-path allows to every image'],
  ['INSTAR_ALLOW_HOST', 'hosts, separated by commas, that --allow-host allows'],
  ['INSTAR_HTTP_AUTHORIZATION', 'value of the header Authorization for the host of a URL; it goes to no other'],
  ['INSTAR_TRACE', 'a file to which a line is appended for each command of a guest'],
  ['INSTAR_QUEUE', 'URL of the queue of jobs, which may hold a password'],
  ['NO_COLOR', 'set to anything: no colours'],
];

function page(name: string, about: string, version: string, sections: readonly string[]): string {
  const environment = ENVIRONMENT.map(([variable, text]) => `.TP\n${bold(variable)}\n${roff(text)}\n`).join('');
  return (
    `.TH ${name.toUpperCase().replaceAll('-', '\\-')} 1 "" "instar ${version}" "instar"\n` +
    `.SH NAME\n${roff(name)} \\- ${roff(firstSentence(about))}\n` +
    `${sections.join('')}.SH ENVIRONMENT\n${environment}`
  );
}

/** The man page of a command. */
export function manualOf(command: CommandDescription, version: string): string {
  const { name, about, usage, operands, options, subcommands, notes } = command;
  const operandEntries = operands
    .filter((operand) => operand.about !== '')
    .map((operand) => `.TP\n${bold(operand.name)}\n${roff(operand.about)}\n`);
  return page(`instar-${name}`, about, version, [
    `.SH SYNOPSIS\n${bold(`instar ${name}`)} ${roff(usage)}\n`,
    `.SH DESCRIPTION\n${roff(about)}\n`,
    operandEntries.length === 0 ? '' : `.SH OPERANDS\n${operandEntries.join('')}`,
    subcommands.length === 0 ? '' : `.SH COMMANDS\n${subcommands.map(subcommandSection).join('')}`,
    `.SH OPTIONS\n${options.map(optionEntry).join('')}`,
    notes === '' ? '' : `.SH NOTES\n${asItStands(notes)}`,
    `.SH SEE ALSO\n${bold('instar')}(1)\n`,
  ]);
}

/** The man page that names all commands. */
export function mainManual(commands: readonly CommandDescription[], version: string): string {
  const entries = commands.map(({ name, about }) => `.TP\n${bold(`instar ${name}`)}\n${roff(about)}\n`);
  return page('instar', 'Disk-image tooling that is safe on images from strangers', version, [
    `.SH SYNOPSIS\n${bold('instar')} \\fICOMMAND\\fR [\\fIARGUMENT\\fR]...\n`,
    `.SH DESCRIPTION\nImages are parsed inside a sandbox only.\n`,
    `.SH COMMANDS\n${entries.join('')}`,
    `.SH SEE ALSO\n${commands.map(({ name }) => `${bold(`instar-${name}`)}(1)`).join(',\n')}\n`,
  ]);
}
