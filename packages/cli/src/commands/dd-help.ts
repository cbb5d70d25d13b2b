import { CONVERSION_WORDS, OUTPUT_FORMATS, SANDBOX_MODES, STATUS_MODES } from '@instar/operands';
import { READABLE_FORMATS } from '@instar/engine';
import { REMOTE_OPTIONS } from './remote-access.js';
import type { CommandDescription, OperandDescription, OptionDescription } from './description.js';

function option(
  flags: string,
  value: string | undefined,
  about: string,
  choices: readonly string[] = [],
): OptionDescription {
  const names = flags.split(', ');
  const [short, long] = names.length === 2 ? names : flags.startsWith('--') ? [undefined, flags] : [flags, undefined];
  return { short, long, value, about, choices };
}

const OPERANDS: readonly (OperandDescription & { readonly value: string })[] = [
  { name: 'if=', value: 'FILE', about: 'input image, or a URL (https://, s3://); - is standard input (raw)' },
  { name: 'of=', value: 'FILE', about: 'output; - is standard output (raw), ./- is a file of that name' },
  { name: 'bs=', value: 'N', about: 'bytes of a block, 1 to 2147483647 (default 512)' },
  { name: 'count=', value: 'N', about: 'look at the first N blocks of the input only' },
  { name: 'skip=', value: 'N', about: 'leave out N blocks at the start (counted within those of count=)' },
  {
    name: 'seek=',
    value: 'N',
    about: 'write N blocks into an existing or new raw output, in place, the rest untouched',
  },
  {
    name: 'isize=',
    value: 'N',
    about: 'virtual size of the input in bytes, in place of its own: cut, or extended with zeros',
  },
  { name: 'osize=', value: 'N', about: 'exact length of a raw output in bytes: cut, or extended with zeros' },
  {
    name: 'conv=',
    value: 'WORDS',
    about: 'sparse leaves regions of zeros as holes; fsync, fdatasync (done anyway), notrunc (with seek=)',
    choices: CONVERSION_WORDS,
  },
  { name: 'iflag=', value: 'fullblock', about: 'done anyway', choices: ['fullblock'] },
  {
    name: 'status=',
    value: 'WORD',
    about: 'none, noxfer or progress (default: nothing is printed)',
    choices: STATUS_MODES,
  },
];

const OPTIONS: readonly OptionDescription[] = [
  option(
    '-f, --format',
    'FMT',
    `format of the input, which is then not probed: ${READABLE_FORMATS.join(', ')}`,
    READABLE_FORMATS,
  ),
  option(
    '-O, --output-format',
    'FMT',
    `format of the output: ${OUTPUT_FORMATS.join(', ')} (default raw)`,
    OUTPUT_FORMATS,
  ),
  option('-U, --force-share', undefined, 'read an image that another process has locked'),
  option('-p, --progress', undefined, 'show a progress bar on a terminal; with --json records on standard error'),
  option('-q, --quiet', undefined, 'no warnings'),
  option('-v, --verbose', undefined, 'tell on standard error what is read, in which sandbox, and how long it takes'),
  option('--json', undefined, 'print the result, or the error, as a JSON record'),
  option('--no-clobber', undefined, 'refuse an output that exists'),
  option('--strict', undefined, 'refuse an input that is not whole: what is missing reads as zeros'),
  option('--force', undefined, 'write to a block device that is mounted or in use'),
  option('--sandbox', 'KIND', 'kvm, process or auto (default: kvm where it works, else process)', SANDBOX_MODES),
  option('--allow-path', 'DIR', 'let the image use backing and data files in DIR as well; may be repeated'),
  ...REMOTE_OPTIONS.map(([long, value, about]) => option(long, value?.toUpperCase(), about)),
  option('--no-backing', undefined, 'refuse images that refer to other files'),
  option('--limit-virtual-size', 'SIZE', 'refuse an image that claims to be larger'),
  option('--limit-output-size', 'SIZE', 'refuse an output that may come to be longer'),
  option('--limit-time', 'TIME', 'longest time of a run of the sandbox, such as 30s, 5m or 500ms'),
  option('--limit-cpu', 'TIME', 'most CPU time of the sandbox'),
  option('--limit-idle', 'TIME', 'longest time without progress (default 30s)'),
  option('--passphrase-file', 'FILE', 'passphrase of encrypted images: all bytes of FILE; may be repeated'),
  option('--object', 'DEF', 'secret,id=NAME,file=FILE or data=TEXT[,format=base64]: a passphrase, as for qemu-img'),
  option('--image-opts', undefined, 'if= is driver=FORMAT,file.filename=FILE,key-secret=NAME instead of a name'),
  option('--limit-key-memory', 'SIZE', 'most memory that making a key may take (default 1G)'),
  option(
    '--dump-on-crash',
    'FILE',
    'leave a memory dump of the sandbox in FILE when its program crashes or is stopped by a limit',
  ),
  option('--dump-on-signal', 'FILE', 'leave one whenever this process gets SIGUSR2; the copy goes on'),
  option('-h, --help', undefined, 'this text'),
];

const NOTES = `Numbers: decimal with an optional fraction and one of B K M G T P E (1024-based), or 0x and hexadecimal digits.
A raw output is padded to whole sectors of 512 bytes; osize= gives an exact length.
By default a backing file must lie in the directory of the image that names it.

The output is written beside its final name and put in place when it is complete: after a failure or Ctrl-C a file
that existed before is as it was. Block devices, open files (/dev/fd/N) and files that a replacement would damage
(hard links, mounts, owners or labels that cannot be kept) are written in place, which a warning says.

Dumps are off by default, because they hold data of the images. FILE has mode 0600, passphrases in it are zeroed; a
name that ends in .zst is compressed.

SIGUSR1 prints the progress on standard error.

Exit codes: 0 done, 1 refused or failed; who is ended by a signal dies of it (130 in a shell after Ctrl-C).

Examples:
  instar dd if=disk.qcow2 of=part.raw bs=1M skip=2 count=10
  instar dd -O qcow2 if=disk.raw of=disk.qcow2
  instar dd if=disk.qcow2 of=- bs=1M | sha256sum
`;

/** What dd takes. */
export const DD_DESCRIPTION: CommandDescription = {
  name: 'dd',
  about: 'Copies a window of a disk image, as qemu-img dd does. The image is parsed inside a sandbox only.',
  usage: '[OPTION]... if=INPUT of=OUTPUT [OPERAND]...',
  operands: OPERANDS,
  options: OPTIONS,
  subcommands: [],
  notes: NOTES,
};

const WIDTH = 118;

/** A name and what it means, with the text in a column of its own that is wrapped. */
function row(name: string, about: string, column: number): string {
  const lines: string[] = [];
  let line = `  ${name} `.padEnd(column);
  if (line.length > column) line += '  ';
  for (const word of about.split(' ')) {
    if (line.length + word.length > WIDTH) {
      lines.push(line.trimEnd());
      line = ' '.repeat(column);
    }
    line += `${word} `;
  }
  return [...lines, line.trimEnd()].join('\n');
}

function optionName({ short, long = '', value }: OptionDescription): string {
  return `${short === undefined ? '    ' : `${short}, `}${long}${value === undefined ? '' : ` ${value}`}`;
}

/** Text of `instar dd --help`. */
export function ddHelp(): string {
  return `Usage: instar dd ${DD_DESCRIPTION.usage}

${DD_DESCRIPTION.about}

Operands (mixed freely with options; of a repeated one the last counts):
${OPERANDS.map(({ name, value, about }) => row(`${name}${value}`, about, 18)).join('\n')}

Options:
${OPTIONS.map((each) => row(optionName(each), each.about, 27)).join('\n')}

${NOTES}`;
}
