import { amend, EngineError, escapeText, info, type Amendment } from '@instar/engine';
import { parseSize } from '@instar/operands';
import { EXIT_CODES } from '../exit-codes.js';
import { CACHE_MODES } from './cache-modes.js';
import { defineCommand, type CommandRun } from './define-command.js';
import { EDIT_NOTES, editing, editOptions, type EditFlags } from './edit-options.js';
import { isOfKeySlots, keySlotsOf } from './key-slot-options.js';
import { splitOptions, type ListedOption } from './option-list.js';
import { requireLists } from '../qemu-img/output-options.js';
import { recordText } from '../render/record.js';
import { standardOutput } from '../process/standard-streams.js';

interface AmendFlags extends EditFlags {
  readonly options: readonly string[];
  readonly force?: boolean;
}

const HELP = `Amend options for 'qcow2':
  compat=<str>           - Compatibility level (v2 [0.10] or v3 [1.1])
  data_file=<str>        - File name of an external data file
  data_file_raw=<bool (on/off)> - The external data file must stay valid as a raw image
  encrypt.iter-time=<num> - Time to spend in PBKDF in milliseconds
  encrypt.keyslot=<num>  - Select a single keyslot to modify explicitly
  encrypt.new-secret=<str> - New secret to set in the matching keyslots
  encrypt.old-secret=<str> - Select all keyslots that match this password
  encrypt.state=<str>    - Select new state of affected keyslots (active/inactive)
  lazy_refcounts=<bool (on/off)> - Postpone refcount updates
  refcount_bits=<num>    - Width of a reference count entry in bits
  size=<size>            - Virtual disk size
`;

const LUKS_HELP = `Amend options for 'luks':
  iter-time=<num>        - Time to spend in PBKDF in milliseconds
  keyslot=<num>          - Select a single keyslot to modify explicitly
  new-secret=<str>       - New secret to set in the matching keyslots
  old-secret=<str>       - Select all keyslots that match this password
  state=<str>            - Select new state of affected keyslots (active/inactive)
`;

const ONLY_AT_CREATION = new Set(['cluster_size', 'compression_type', 'preallocation', 'extended_l2', 'nocow']);
const VERSIONS: Readonly<Record<string, 2 | 3>> = { '0.10': 2, v2: 2, '1.1': 3, v3: 3 };

function invalid(what: string): EngineError {
  return new EngineError('INVALID_OPTION', what);
}

function yesNo(key: string, value: string | undefined): boolean {
  if (value === undefined || ['on', 'yes', 'true', 'y'].includes(value)) return true;
  if (['off', 'no', 'false', 'n'].includes(value)) return false;
  throw invalid(`-o ${key}: found '${escapeText(value)}', expected on or off`);
}

function amendmentOf(options: readonly ListedOption[]): Amendment {
  const wish: { -readonly [Key in keyof Amendment]: Amendment[Key] } = {};
  for (const { key, value } of options) {
    if (key === 'compat') {
      wish.version = VERSIONS[value ?? ''];
      if (wish.version === undefined)
        throw invalid(`-o compat: found '${escapeText(value ?? '')}', expected 0.10 or 1.1`);
    } else if (key === 'lazy_refcounts') wish.lazyRefcounts = yesNo(key, value);
    else if (key === 'data_file') wish.dataFile = value ?? '';
    else if (key === 'data_file_raw') wish.dataFileRaw = yesNo(key, value);
    else if (key === 'refcount_bits') wish.refcountBits = Number(value);
    else if (key === 'size') wish.size = parseSize(value ?? '');
    else if (key === 'backing_file' || key === 'backing_fmt') {
      throw invalid(`-o ${key}: the backing file is not amended; rebase changes it`);
    } else if (ONLY_AT_CREATION.has(key) || /^encrypt(?:ion$|\.(?:format|key-secret|cipher-|ivgen-|hash-))/.test(key))
      throw invalid(`-o ${key}: can only be chosen when an image is created`);
    else throw invalid(`-o ${escapeText(key)}: no option that is amended; -o help lists them`);
  }
  return wish;
}

async function run(command: CommandRun<AmendFlags>): Promise<number> {
  const { files, flags, json, control, pathPolicy, additions, passphrase } = command;
  const [file] = files;
  const text = flags.options.join(',');
  if (!additions && file !== undefined) requireLists(flags.options);
  if (['help', '?'].includes(text) && (additions || file !== undefined || flags.format !== undefined)) {
    if (!additions && flags.format !== undefined && !['qcow2', 'luks'].includes(flags.format))
      throw invalid(`images of format ${escapeText(flags.format)} have no options to amend`);
    standardOutput.write(flags.format === 'luks' ? LUKS_HELP : HELP);
    return EXIT_CODES.OK;
  }
  if (text === '') throw invalid('needs options, as in amend -o compat=1.1 disk.qcow2');
  if (file === undefined) throw invalid('needs an image, as in amend -o compat=1.1 disk.qcow2');
  const options = splitOptions(text);
  const ofSlots = options.filter(isOfKeySlots);
  const wish = amendmentOf(options.filter((option) => !isOfKeySlots(option)));
  // What they are called depends on what it is.
  const format = ofSlots.length === 0 ? undefined : (flags.format ?? (await info(file, control)).format);
  const keySlots = keySlotsOf(ofSlots, format, passphrase);
  const amendment = { ...wish, ...(keySlots === undefined ? {} : { keySlots }) };
  const how = { ...editOptions(flags), force: flags.force === true, pathPolicy };
  const result = await amend(file, amendment, { ...how, ...control });
  if (json) standardOutput.write(recordText({ result: { filename: file, ...result } }));
  return EXIT_CODES.OK;
}

/** `instar amend` */
export const amendCommand = defineCommand<AmendFlags>({
  name: 'amend',
  about: 'Changes options of an image that it was created with (qcow2), or which passphrases open it (qcow2, luks).',
  operands: [['[file]', 'the image']],
  options: (command, values) =>
    editing(command)
      .option(
        '-o, --options <options>',
        'options, such as compat=1.1,lazy_refcounts=on; help lists them',
        (value: string, earlier: readonly string[]) => [...earlier, value],
        [],
      )
      .option('-p, --progress', 'show how far it is')
      .option('-t, --cache <mode>', 'without effect', values.oneOf(CACHE_MODES))
      .option('--force', 'also fill key slots that hold the key, and empty the last one that does'),
  notes:
    'The passphrase that opens the image is given by --passphrase-file or --object; key slots are filled and emptied by\n' +
    '  -o encrypt.state=active,encrypt.new-secret=ID[,encrypt.keyslot=N][,encrypt.iter-time=MS]\n' +
    '  -o encrypt.state=inactive,encrypt.old-secret=ID[,encrypt.keyslot=N] (luks images: without "encrypt.")\n' +
    'A slot that is emptied is overwritten when it is empty, and no undo log has a copy of that; the log of a slot that is filled\n' +
    'anew (--force) has one until it is done.\n' +
    EDIT_NOTES,
  showsProgress: true,
  run,
});
