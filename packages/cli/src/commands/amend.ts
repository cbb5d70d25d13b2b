import { amend, EngineError, escapeText, type Amendment } from '@instar/engine';
import { parseSize } from '@instar/operands';
import { EXIT_CODES } from '../exit-codes.js';
import { CACHE_MODES } from './cache-modes.js';
import { defineCommand, type CommandRun } from './define-command.js';
import { EDIT_NOTES, editing, editOptions, type EditFlags } from './edit-options.js';
import { requireLists } from '../qemu-img/output-options.js';
import { recordText } from '../render/record.js';

interface AmendFlags extends EditFlags {
  readonly options: readonly string[];
}

const HELP = `Amend options for 'qcow2':
  compat=<str>           - Compatibility level (v2 [0.10] or v3 [1.1])
  lazy_refcounts=<bool (on/off)> - Postpone refcount updates
  refcount_bits=<num>    - Width of a reference count entry in bits
  size=<size>            - Virtual disk size
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

function amendmentOf(text: string): Amendment {
  const wish: { -readonly [Key in keyof Amendment]: Amendment[Key] } = {};
  for (const option of text.split(',')) {
    const [key = '', ...rest] = option.split('=');
    const value = rest.length === 0 ? undefined : rest.join('=');
    if (key === 'compat') {
      wish.version = VERSIONS[value ?? ''];
      if (wish.version === undefined)
        throw invalid(`-o compat: found '${escapeText(value ?? '')}', expected 0.10 or 1.1`);
    } else if (key === 'lazy_refcounts') wish.lazyRefcounts = yesNo(key, value);
    else if (key === 'refcount_bits') wish.refcountBits = Number(value);
    else if (key === 'size') wish.size = parseSize(value ?? '');
    else if (key === 'backing_file' || key === 'backing_fmt') {
      throw invalid(`-o ${key}: the backing file is not amended; rebase changes it`);
    } else if (ONLY_AT_CREATION.has(key)) throw invalid(`-o ${key}: can only be chosen when an image is created`);
    else throw invalid(`-o ${escapeText(key)}: no option that is amended; -o help lists them`);
  }
  return wish;
}

async function run({ files, flags, json, control, additions }: CommandRun<AmendFlags>): Promise<number> {
  const [file] = files;
  const text = flags.options.join(',');
  if (!additions && file !== undefined) requireLists(flags.options);
  if (['help', '?'].includes(text) && (additions || file !== undefined || flags.format !== undefined)) {
    if (!additions && flags.format !== undefined && flags.format !== 'qcow2')
      throw invalid(`images of format ${escapeText(flags.format)} have no options to amend`);
    process.stdout.write(HELP);
    return EXIT_CODES.OK;
  }
  if (text === '') throw invalid('needs options, as in amend -o compat=1.1 disk.qcow2');
  if (file === undefined) throw invalid('needs an image, as in amend -o compat=1.1 disk.qcow2');
  const result = await amend(file, amendmentOf(text), { ...editOptions(flags), ...control });
  if (json) process.stdout.write(recordText({ result: { filename: file, ...result } }));
  return EXIT_CODES.OK;
}

/** `instar amend` */
export const amendCommand = defineCommand<AmendFlags>({
  name: 'amend',
  about: 'Changes options of an image that it was created with (qcow2).',
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
      .option('--force', 'without effect'),
  notes: EDIT_NOTES,
  showsProgress: true,
  run,
});
