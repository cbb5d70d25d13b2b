import type { ProgressDisplay } from '../render/progress.js';
import type { SpokenError, Voice } from '../voice.js';
import { noSize } from './sizes.js';
import { systemErrorText } from './system-errors.js';
import { standardOutput } from '../process/standard-streams.js';

// Sentences that programs which call qemu-img look for, and its forms of words (measured against qemu-img 10.0).

const ANY_OFFSET = 'Must be between 0 and 9223372036854775807.';
const NO_SPARSE_SIZE =
  'Invalid buffer size for sparse output specified. Valid sizes are multiples of 512 up to 16777216. ' +
  'Select 0 to disable sparse detection (fully allocates output).';
const LAZY_NEEDS_VERSION_3 =
  'Lazy refcounts only supported with compatibility level 1.1 and above (use compat=1.1 or greater)';

const GUESSED_RAW =
  '         Automatically detecting the format is dangerous for raw images, write operations on block 0 will be restricted.\n' +
  "         Specify the 'raw' format explicitly to remove the restrictions.";

/** What is said of some errors, and what qemu-img says of them. */
const SENTENCES: readonly (readonly [ours: RegExp, theirs: string])[] = [
  [/^images of format \S+ are not (?:checked|repaired)$/, 'This image format does not support checks'],
  [/^the file is not in this format \(magic .*, expected 51 46 49 fb\)$/, 'Image is not in qcow2 format'],
  [
    /^has (?:a disk of )?\d+ bytes, fewer than the \d+ of the (?:disk|input)$/,
    'output file is smaller than input file',
  ],
  [/^-o data_file_raw: needs the name of a data file$/, 'data-file-raw requires data-file'],
  [/^-o backing_file: no option of (\S+) outputs .*$/, "Backing file not supported for file format '$1'"],
  [/^-o (\S+): no option of \S+ outputs .*$/, "Invalid parameter '$1'"],
  [/^-c: only qcow2 outputs are compressed, .*$/, 'Compression not supported for this file format'],
  [/^-c and preallocation exclude each other$/, 'Compression and preallocation not supported at the same time'],
  [/^--target-is-zero: needs an output that exists$/, '--target-is-zero requires use of -n flag'],
  [/^-b: the backing file .* needs its format, .*$/, 'Use of backing file requires explicit backing format'],
  [/^-S: expected a multiple of 512 up to 16777216, .*$/, NO_SPARSE_SIZE],
  [
    /^option '-S, --sparse-size <size>' argument '.*' is invalid\. '.*' is negative: .*$/,
    `Invalid buffer size for sparse output specified. ${ANY_OFFSET}`,
  ],
  [
    /^option '-S, --sparse-size <size>' argument '(.*)' is invalid\. '.*' is not a size: .*$/,
    "Invalid buffer size for sparse output specified: '$1'.",
  ],
  [/^snapshot: needs one input, found several$/, 'No support for concatenating multiple snapshot'],
  [/^bitmaps: images of format (\S+) have none$/, "Format driver '$1' does not support bitmaps"],
  [/^has no bitmaps$/, 'Source lacks bitmap support'],
  [/^images of format (\S+) are not written yet; .*$/, "Format driver '$1' does not support image creation"],
  [/^-g is of use with --add only$/, 'granularity only supported with --add'],
  [/^(?:the image cannot be edited so: )?lazy refcounts need version 3 .*$/, LAZY_NEEDS_VERSION_3],
  [/^--object secret needs id=NAME$/, "Parameter 'id' is missing"],
  [/^-o compat: found '(.*)', expected .*$/, 'Unknown compatibility level $1'],
  [/^needs an image, as in amend .*$/, 'Expecting one image file name'],
  [
    /^option '--output <kind>' argument '(.*)' is invalid\. .*$/,
    "--output expects 'human' or 'json' not '$1'\nTry 'qemu-img $COMMAND --help' for more info",
  ],
  [/^'([^']*)' (?:is not a size: |has a fraction of a byte ).*$/, "Invalid image size specified: '$1'."],
  [/^'[^']*' is negative: .*$/, `Invalid image size specified. ${ANY_OFFSET}`],
  [/^'[^']*' is too large: expected at most 9223372036854775807 .*$/, `Invalid image size specified. ${ANY_OFFSET}`],
  [/^needs an input and an output$/, 'Must specify image file name'],
  [/^Unexpected argument: (.*)$/s, "Unexpected argument: $1\nTry 'qemu-img create --help' for more info"],
  [/^needs a name and a size, .*$/, 'Image creation needs a size parameter'],
  [/^no (?:in|out)put was given: .*$/, 'Must specify both input and output files'],
  [/^unknown operand '([^'=]*)=?': .*$/, 'unrecognized operand $1'],
  [/^bs=: the block size is 0: .*$/, 'Invalid bs specified. Must be between 1 and 2147483647.'],
  [
    /^would become smaller, .*$/,
    'Use the --shrink option to perform a shrink operation.\n' +
      "qemu-img: warning: Shrinking an image will delete all data beyond the shrunken image's end. " +
      'Before performing such an operation, make sure there is no important data there.',
  ],
  [/^would have \S+ bytes, expected a multiple of 512$/, 'The new size must be a multiple of 512'],
  [/^would have \S+ bytes, expected a size that is positive$/, 'New image size must be positive'],
  [/^unsupported preallocation mode: (\S+)$/, 'Unsupported preallocation mode: $1'],
  [/^preallocation can only be used for growing images$/, 'Preallocation can only be used for growing images'],
  [/^option '--preallocation <mode>' argument '(.*)' is invalid\..*$/, "Invalid preallocation mode '$1'"],
  [
    /^option '-r, --rate(?:-limit)? <rate>' argument '[^']*' is invalid\. '.*' is negative: .*$/,
    `Invalid rate limit specified. ${ANY_OFFSET}`,
  ],
  [/^option '-r, --rate <rate>' argument '(.*)' is invalid\..*$/, "Invalid rate limit specified: '$1'."],
  [/^-b is of use with --merge only$/, 'Merge bitmap source file only supported with --merge'],
  [/^-F is of use with -b only$/, '-F only supported with -b'],
  [/^needs an image and the name of a bitmap, .*$/, 'Expecting filename and bitmap name'],
  [/^needs one of --add, .*$/, 'Need at least one of --add, --remove, --clear, --enable, --disable, or --merge'],
  [/^the image has no backing file$/, 'Image does not have a backing file'],
  [
    /^needs a backing file \(-b\), .*$/,
    "Must specify backing file (-b) or use unsafe mode (-u)\nTry 'qemu-img rebase --help' for more info",
  ],
  [
    /^-b needs the format of '(.*)' \(-F\): .*$/,
    "Could not change the backing file to '$1': backing format must be specified",
  ],
  [
    /^operation (\S+) on bitmap '(.*)' failed: it exists already$/,
    'Operation $1 on bitmap $2 failed: Bitmap already exists: $2',
  ],
  [
    /^operation (\S+) on bitmap '(.*)' failed: there is no bitmap '(.*)'$/,
    "Operation $1 on bitmap $2 failed: Dirty bitmap '$3' not found",
  ],
  [
    /^operation add on bitmap '(.*)' failed: the granularity is .*$/,
    'Operation add on bitmap $1 failed: Granularity must be power of 2 and at least 512',
  ],
  [
    /^option '-r, --repair <what>' argument '(.*)' is invalid\..*$/,
    "--repair (-r) expects 'leaks' or 'all' not '$1'\nTry 'qemu-img check --help' for more info",
  ],
  [/^needs options, as in amend .*$/, "Must specify options (-o)\nTry 'qemu-img amend --help' for more info"],
  [
    /^-o backing_\S+: the backing file is not amended; .*$/,
    "Cannot amend the backing file\nYou can use 'qemu-img rebase' instead.",
  ],
  [
    /^-o (\S+): can only be chosen when .*$/,
    "Invalid parameter '$1'\nThis option is only supported for image creation",
  ],
  [/^-o (\S+): no option that is amended; .*$/, "Invalid parameter '$1'"],
  [/^-o lazy_refcounts: found .*$/, "Parameter 'lazy_refcounts' expects 'on' or 'off'"],
  [/^the refcount width is .*$/, 'Refcount width must be a power of two and may not exceed 64 bits'],
  [/^images of format (\S+) have no options to amend$/, "Format driver '$1' does not support option amendment"],
  [/^needs an image and a size, .*$/, "Expecting image file name and size\nTry 'qemu-img resize --help' for more info"],
  [/^found several of '-l', .*$/, "Cannot mix '-l', '-a', '-c', '-d'\nTry 'qemu-img snapshot --help' for more info"],
  [
    /^could not apply the snapshot: it has none .* '(.*)'$/,
    "Could not apply snapshot '$1': Failed to load snapshot: No such file or directory",
  ],
  [/^could not delete the snapshot: it has none .* '(.*)'$/, "Could not delete snapshot '$1': snapshot not found"],
  [/^request \d+ would end behind the disk: .*$/, 'Failed request: Input/output error'],
  [/^--flush-interval is of use with -w only$/, '--flush-interval is only available in write tests'],
  [/^--flush-interval is smaller than the depth$/, "Flush interval can't be smaller than depth"],
  [
    /^-n: "(.*)" needs -t none$/,
    "Could not open '$1': aio=native was specified, but it requires cache.direct=on, which was not specified.",
  ],
  [/^option '-t, --cache <cache>' argument .*$/, 'Invalid cache mode'],
  [/^option '-i, --aio <kind>' argument '(.*)' is invalid\..*$/, 'Invalid aio option: $1'],
  ...(
    [
      ['-c, --count <number>', 'request count', 1],
      ['-d, --depth <number>', 'queue depth', 1],
      ['-s, --buffer-size <size>', 'buffer size', 1],
      ['-S, --step-size <size>', 'step size', 0],
      ['-o, --offset <size>', 'offset', 0, '9223372036854775807'],
      ['--pattern <byte>', 'pattern byte', 0, 255],
      ['--flush-interval <number>', 'flush interval', 0],
    ] as const
  ).flatMap(([option, what, least, most = 2147483647]): (readonly [RegExp, string])[] => [
    [
      new RegExp(`^option '${option}' argument '.*' is invalid\\. expected \\d.*$`),
      `Invalid ${what} specified. Must be between ${least} and ${most}.`,
    ],
    [new RegExp(`^option '${option}' argument '(.*)' is invalid\\..*$`), `Invalid ${what} specified: '$1'.`],
  ]),
  [/^either a file or --size is needed$/, 'Either --size N or one filename must be specified.'],
  [/^option '-m, --parallel <number>' argument '(?!-?\d+')(.*?)' .*$/, "Invalid number of coroutines specified: '$1'."],
  [/^option '-g, --granularity <size>' argument '([^']*)' .*$/, "Invalid granularity specified: '$1'."],
  [
    /^option '-m, --parallel <number>' argument .*$/,
    'Invalid number of coroutines specified. Must be between 1 and 16.',
  ],
  [/^option '-r, --rate-limit <rate>' argument '([^']*)' .*$/, "Invalid rate limit specified: '$1'."],
  [/^option '-t, --\S+ <mode>' argument '(.*)' is invalid\..*$/, 'Invalid cache option: $1'],
  [/^option '-T, --\S+ <mode>' argument '(.*)' is invalid\..*$/, 'Invalid source cache option: $1'],
];

/** The same of key slots and data files that are amended. */
const EDITED = '^the image cannot be edited so: ';
const SLOT = `${EDITED}key slot (\\d+)`;
const IRREVERSIBLE = 'will erase all the data in the image irreversibly - refusing operation';
const OF_AMENDMENTS: typeof SENTENCES = [
  [
    new RegExp(`${EDITED}a data file is named by images .*$`),
    'data-file can only be set for images that use an external data file',
  ],
  [new RegExp(`${EDITED}a data file that was none .*$`), 'data-file-raw cannot be set on existing images'],
  [/^-o data_file_raw: found .*$/, "Parameter 'data_file_raw' expects 'on' or 'off'"],
  [new RegExp(`${EDITED}it is not encrypted, .*$`), "Can't amend encryption options - encryption not present"],
  [new RegExp(`${EDITED}it is encrypted as versions before .*$`), 'Only LUKS encryption options can be amended'],
  [
    new RegExp(`${EDITED}that is not done to images of format (?!luks|qcow2)(\\S+)$`),
    "Format driver '$1' does not support option amendment",
  ],
  [new RegExp(`${SLOT} is none of 0 to (\\d+)$`), 'Invalid keyslot $1 specified, must be between 0 and $2'],
  [new RegExp(`${SLOT} holds the key; .*$`), 'Refusing to overwrite active keyslot $1 - please erase it first'],
  [new RegExp(`${EDITED}all key slots hold the key; .*$`), "Can't add a keyslot - all keyslots are in use"],
  [new RegExp(`${SLOT} is empty already$`), 'Given keyslot $1 is already erased (inactive) '],
  [
    new RegExp(`${SLOT} is not opened by the passphrase .*$`),
    "Given keyslot $1 doesn't contain the given old password for erase operation",
  ],
  [
    new RegExp(`${SLOT} is the only one that holds the key, .*$`),
    `Attempt to erase the only active keyslot $1 which ${IRREVERSIBLE}`,
  ],
  [
    new RegExp(`${EDITED}no key slot is opened by the passphrase .*$`),
    'No keyslots match given (old) password for erase operation',
  ],
  [
    new RegExp(`${EDITED}the passphrase that is to go opens all key slots .*$`),
    `All the active keyslots match the (old) password that was given and erasing them ${IRREVERSIBLE}`,
  ],
  [/^key slots: a slot becomes active with .*$/, "'new-secret' is required to activate a keyslot"],
  [/^key slots: no old passphrase is given .*$/, "'old-secret' must not be given when activating keyslots"],
  [/^key slots: no new passphrase is given .*$/, "'new-secret' must not be given when erasing keyslots"],
  [/^key slots: no time of iterations .*$/, "'iter-time' must not be given when erasing keyslots"],
  [
    /^key slots: slots become inactive by their number .*$/,
    'To erase keyslot(s), either explicit keyslot index or the password currently contained in them must be given',
  ],
  [/^-o (?:encrypt\.)?state is missing: .*$/, "Parameter 'state' is missing"],
  [/^-o (?:encrypt\.)?state: found '(.*)', .*$/, "Parameter 'state' does not accept value '$1'"],
  [/^-o ((?:encrypt\.)?(?:keyslot|iter-time)): found .*, expected a number$/, "Parameter '$1' expects a number"],
  [/^-o (\S+): no such option is amended; .*$/, "Invalid parameter '$1'"],
  [/^No secret with id "(.*)": define it .*$/, "No secret with id '$1'"],
];

/** What getopt says of options that are not there, or lack their value, behind the name of the command. */
const GETOPT: typeof SENTENCES = [
  [/^unknown option '(--.*)'$/, "unrecognized option '$1'"],
  [/^unknown option '-(.).*'$/, "invalid option -- '$1'"],
  [/^option '-(.), .*' argument missing$/, "option requires an argument -- '$1'"],
];

/** Sentences that one command has for what another says otherwise. */
const OF_COMMANDS: Readonly<Record<string, typeof SENTENCES>> = {
  amend: [[/^'[^']*' is not a size: .*$/, noSize('size')]],
  bitmap: [
    [/^too many arguments\. .*$/, 'Expecting filename and bitmap name'],
    [/^'([^']*)' is not a size: .*$/, "Invalid granularity specified: '$1'."],
  ],
  dd: [
    [/^(bs|count|skip)=: '(.*?)' is not a size: .*$/, "Invalid $1 specified: '$2'."],
    [/^bs=: '.*' is negative: .*$/, 'Invalid bs specified. Must be between 1 and 2147483647.'],
    [/^(count|skip)=: '.*' is negative: .*$/, `Invalid $1 specified. ${ANY_OFFSET}`],
    [/^unknown output format '.*$/, 'Unknown file format'],
  ],
  map: [
    [
      /^option '-s, --start-offset <offset>' argument '.*?' is invalid\. '.*' is negative: .*$/,
      `Invalid start offset specified. ${ANY_OFFSET}`,
    ],
    [
      /^option '-l, --max-length <size>' argument '.*?' is invalid\. '.*' is negative: .*$/,
      `Invalid max length specified. ${ANY_OFFSET}`,
    ],
    [
      /^option '-s, --start-offset <offset>' argument '(.*?)' is invalid\. .*$/,
      "Invalid start offset specified: '$1'.",
    ],
    [/^option '-l, --max-length <size>' argument '(.*?)' is invalid\. .*$/, "Invalid max length specified: '$1'."],
  ],
  measure: [
    [
      /^option '--size <size>' argument '.*?' is invalid\. '.*' is (?:negative|too large): .*$/,
      `Invalid image size specified. ${ANY_OFFSET}`,
    ],
    [/^too many arguments\. .*$/, 'At most one filename argument is allowed.'],
    [/^option '--size <size>' argument '(.*?)' is invalid\. .*$/, "Invalid image size specified: '$1'."],
    [/^both a file and --size were given$/, '--size N cannot be used together with a filename.'],
  ],
  resize: [
    [
      /^missing required argument 'file'$/,
      "Expecting image file name and size\nTry 'qemu-img resize --help' for more info",
    ],
    [/^'[^']*' is not a size: .*$/, noSize('size')],
    [/^too many arguments\. .*$/, "Extra argument(s) in command line\nTry 'qemu-img resize --help' for more info"],
  ],
};

const NUMBER_OF_OPERANDS = /^(?:missing required argument|too many arguments\. )/;
const ONE_IMAGE = 'Expecting one image file name';

/** What is said where a command has fewer operands than it needs, or more than it takes. */
const OPERANDS: Readonly<Record<string, string>> = {
  bench: ONE_IMAGE,
  check: ONE_IMAGE,
  commit: ONE_IMAGE,
  compare: 'Expecting two image file names',
  create: 'Expecting image file name',
  info: ONE_IMAGE,
  map: ONE_IMAGE,
  rebase: ONE_IMAGE,
  snapshot: ONE_IMAGE,
};

/** Codes of images whose sentences are not those of an image that cannot be opened. */
const SAID_OF_IMAGES: ReadonlySet<string> = new Set([
  'IMAGE_UNSUPPORTED_EDIT',
  'IMAGE_BITMAP_EXISTS',
  'IMAGE_BITMAP_MISSING',
  'IMAGE_SNAPSHOT_MISSING',
]);

/** Its sentence for an error, if it is one of those. */
function theirSentence(message: string, sentences = SENTENCES): string | undefined {
  const [ours, theirs] = sentences.find(([sentence]) => sentence.test(message)) ?? [];
  return ours === undefined || theirs === undefined ? undefined : message.replace(ours, theirs);
}

function withoutFile({ message, file }: SpokenError): string {
  return file !== undefined && message.startsWith(`${file}: `) ? message.slice(file.length + 2) : message;
}

function sentence(command: string, error: SpokenError): string {
  const { code, message, file, system } = error;
  const bare = withoutFile(error);
  const [, sought] = file === undefined ? [] : (/^did not find '(.*)' in the backing chain$/.exec(bare) ?? []);
  if (sought !== undefined) return `Did not find '${sought}' in the backing chain of '${file}'`;
  const known = theirSentence(bare) ?? (command === 'amend' ? theirSentence(bare, OF_AMENDMENTS) : undefined);
  if (known !== undefined && (SAID_OF_IMAGES.has(code) || !code.startsWith('IMAGE_'))) return known;
  const why = system === undefined ? undefined : systemErrorText(system);
  if (file === undefined) return message;
  switch (code) {
    case 'READ_FAILED':
      return why === undefined ? message : `Could not open '${file}': Could not open '${file}': ${why}`;
    case 'INPUT_IN_USE':
      return `Could not open '${file}': Failed to get shared "write" lock\nIs another process using the image [${file}]?`;
    case 'NO_SPACE':
    case 'WRITE_FAILED':
      // The file itself may be written: what cannot be is the log beside it.
      if (bare.startsWith('its undo log ')) return message;
      return why === undefined ? message : `${file}: error while writing: ${why}`;
    case 'IMAGE_SNAPSHOT_MISSING':
      return "Failed to load snapshot: Can't find snapshot";
    case 'UNSUPPORTED_FORMAT': {
      const [, name] = /^unknown (?:output )?format '([^']*)'/.exec(withoutFile(error)) ?? [];
      if (name === undefined) return message;
      return withoutFile(error).startsWith('unknown output')
        ? `Unknown file format '${name}'`
        : `Could not open '${file}': Unknown driver '${name}'`;
    }
    case 'IMAGE_OUTPUT_TOO_BIG':
    case 'IMAGE_UNSUPPORTED_OUTPUT':
      // It is to be made.
      return message;
    case 'IMAGE_REPAIR_FIRST':
    case 'IMAGE_UNSUPPORTED_EDIT':
      // It was opened.
      return message;
    default:
      return code.startsWith('IMAGE_') || code.startsWith('REFERENCE_') || code === 'PATH_REFUSED'
        ? `Could not open '${file}': ${known ?? bare}`
        : message;
  }
}

/** Options of one letter behind which their value stands, which is then no option. */
function written(token: string, options: readonly string[]): string {
  const [name = '', ...value] = token.split('=');
  if (!/^--[a-z]/.test(name) || options.includes(name)) return token;
  const found = options.filter((option) => option.startsWith(name));
  const [only] = found;
  return only !== undefined && found.length === 1 ? [only, ...value].join('=') : token;
}

function percent(done: bigint, total: bigint): number {
  return total === 0n ? 0 : Number((done * 10_000n) / total) / 100;
}

/** `(12.34/100%)` on one line that is overwritten, at most one for each percent. */
function progress(): ProgressDisplay {
  let last = -1;
  let open = true;
  const show = (value: number): void => {
    if (value - last < 1 && (value < 100 || last >= 100)) return;
    last = value;
    standardOutput.write(`    (${value.toFixed(2)}/100%)\r`);
  };
  show(0);
  return {
    update(done, total) {
      show(percent(done, total));
    },
    close(complete) {
      if (!open) return;
      open = false;
      if (complete === true) show(100);
      standardOutput.write('\n');
    },
  };
}

/** The voice of qemu-img. */
export const QEMU_IMG_VOICE: Voice = {
  words(tokens, options) {
    const end = tokens.indexOf('--');
    return tokens.map((token, index) => (end !== -1 && index >= end ? token : written(token, options)));
  },
  error(command, error) {
    if (!error.usage) return `qemu-img: ${sentence(command, error)}`;
    const message = error.message.replace(/; see instar .*$/, '');
    const known = theirSentence(message, OF_COMMANDS[command] ?? []) ?? theirSentence(message);
    if (known !== undefined) return `qemu-img: ${known.replace('$COMMAND', command)}`;
    const strange = theirSentence(message, GETOPT);
    if (strange !== undefined) return `qemu-img ${command}: ${strange}\nTry 'qemu-img ${command} --help' for more info`;
    const operands = NUMBER_OF_OPERANDS.test(message) ? OPERANDS[command] : undefined;
    return `qemu-img: ${operands ?? message}\nTry 'qemu-img ${command} --help' for more info`;
  },
  warning: (text) => `qemu-img: warning: ${text}`,
  notRecognised: (file) =>
    `WARNING: Image format was not specified for '${file}' and probing guessed raw.\n${GUESSED_RAW}`,
  progress,
};
