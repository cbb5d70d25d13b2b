import { EngineError, escapeText } from '@instar/engine';
import { parseSize } from '@instar/operands';
import { splitOptions, type ListedOption } from '../commands/option-list.js';
import { optionsOf } from '../commands/options-of-formats.js';
import { BOOLEANS, type OutputOption } from '../commands/output-option.js';
import { noSize } from './sizes.js';

// What qemu-img says of options of outputs that are wrong, and when: types first, before anything is announced, and what
// formats cannot have afterwards, the first in its own order (measured against qemu-img 10.0).

/** An output as a command line describes it. */
export interface DescribedOutput {
  readonly format: string;
  /** The lists of `-o`, in their order. */
  readonly lists: readonly string[];
  /** Options that have letters of their own (`-b`, `-F`). */
  readonly letters: Readonly<Record<string, string | undefined>>;
  /** Whether there is the secret of an id; without one, whether there is one at all. */
  readonly hasSecret: (id: string | undefined) => boolean;
}

/** What is wrong. */
export interface Refusal {
  readonly sentence: string;
  /** Whether the command line could be read, so that what is to be created was announced. */
  readonly announced: boolean;
  /** What is announced, in front of the size and behind it. */
  readonly words: readonly [before: string, behind: string];
}

type Values = ReadonlyMap<string, string>;

/** Whether a list begins or ends with a comma that is not part of a value, or has nothing in it. */
function isList(list: string): boolean {
  const single = list.replaceAll(',,', '');
  return list !== '' && !single.startsWith(',') && !single.endsWith(',');
}

/** A size as it is written; undefined of what no size is. */
export function sizeOf(value: string): bigint | undefined {
  try {
    return parseSize(value);
  } catch {
    return undefined;
  }
}

function isOn(values: Values, name: string): boolean {
  return values.get(name) === 'on';
}

/** A value as its type is written: bytes, `on` or `off`; undefined where it is not of the type. */
function typed({ kind }: OutputOption, value: string): string | undefined {
  switch (kind) {
    case 'size':
      return sizeOf(value)?.toString();
    case 'switch': {
      const on = Object.entries(BOOLEANS).find(([word]) => word === value)?.[1];
      return on === undefined ? undefined : on ? 'on' : 'off';
    }
    case 'number':
      return /^(?:\d{1,19}|0x[\da-f]{1,15})$/i.test(value) ? value : undefined;
    default:
      return value;
  }
}

function wrongType({ name, kind }: OutputOption): string {
  if (kind === 'size') return noSize(name);
  return kind === 'switch' ? `Parameter '${name}' expects 'on' or 'off'` : `Parameter '${name}' expects a number`;
}

/** The first option that is not there, or not of its type. */
function readOptions(known: readonly OutputOption[], listed: readonly ListedOption[]): Values | string {
  const values = new Map<string, string>();
  for (const { key, value = 'on' } of listed) {
    const option = known.find(({ name }) => name === key);
    if (option === undefined) return `Invalid parameter '${escapeText(key)}'`;
    const text = typed(option, value);
    if (text === undefined) return wrongType(option);
    values.set(key, text);
  }
  return values;
}

function isPowerOfTwo(value: bigint): boolean {
  return value > 0n && (value & (value - 1n)) === 0n;
}

/** What one of some words must be, by the names that driver has for option and words. */
function oneOf(values: Values, option: string, called: string, words: readonly string[]): string | undefined {
  const value = values.get(option);
  if (value === undefined || words.includes(value)) return undefined;
  return `Parameter '${called}' does not accept value '${escapeText(value)}'`;
}

const OLD = ['0.10', 'v2'];
const PREALLOCATIONS = ['off', 'metadata', 'falloc', 'full'];

const HASHES = ['md5', 'sha1', 'sha224', 'sha256', 'sha384', 'sha512', 'ripemd160', 'sm3'];

/** What LUKS has against options whose names have something in front. */
function* luks(values: Values, { hasSecret }: DescribedOutput, prefix = ''): Generator<string | undefined> {
  // Those of it, of which some are not written here: that is said by name then.
  const words = {
    'cipher-alg': [
      ...['aes-128', 'aes-192', 'aes-256', 'des', '3des', 'cast5-128', 'serpent-128', 'serpent-192', 'serpent-256'],
      ...['twofish-128', 'twofish-192', 'twofish-256', 'sm4'],
    ],
    'cipher-mode': ['ecb', 'cbc', 'xts', 'ctr'],
    'ivgen-alg': ['plain', 'plain64', 'essiv'],
    'ivgen-hash-alg': HASHES,
    'hash-alg': HASHES,
  };
  for (const [name, known] of Object.entries(words)) yield oneOf(values, `${prefix}${name}`, name, known);
  const secret = values.get(`${prefix}key-secret`);
  if (hasSecret(secret)) return;
  yield secret === undefined
    ? `Parameter '${prefix}key-secret' is required for cipher`
    : `No secret with id '${escapeText(secret)}'`;
}

function* qed(values: Values): Generator<string | undefined> {
  const cluster = BigInt(values.get('cluster_size') ?? 65536);
  if (!isPowerOfTwo(cluster) || cluster < 4096n || cluster > 64n << 20n)
    yield 'QED cluster size must be within range [4096, 67108864] and power of 2';
  const table = BigInt(values.get('table_size') ?? 4);
  if (!isPowerOfTwo(table) || table > 16n) yield 'QED table size must be within range [1, 16] and power of 2';
}

function* qcow2(values: Values, output: DescribedOutput): Generator<string | undefined> {
  const encryption = [...values.keys()].some((name) => name.startsWith('encrypt.'));
  if (encryption && !values.has('encrypt.format')) yield "Parameter 'encrypt.format' is missing";
  yield oneOf(values, 'compat', 'version', [...OLD, '1.1', 'v3']);
  yield oneOf(values, 'encrypt.format', 'format', ['luks', 'aes']);
  yield oneOf(values, 'preallocation', 'preallocation', PREALLOCATIONS);
  yield oneOf(values, 'compression_type', 'compression-type', ['zlib', 'zstd']);
  const old = OLD.includes(values.get('compat') ?? '1.1');
  const cluster = BigInt(values.get('cluster_size') ?? 65536);
  if (!isPowerOfTwo(cluster) || cluster < 512n || cluster > 2n << 20n)
    yield 'Cluster size must be a power of two between 512 and 2048k';
  if (isOn(values, 'extended_l2')) {
    if (old)
      yield 'Extended L2 entries are only supported with compatibility level 1.1 and above (use version=v3 or greater)';
    if (cluster < 16384n) yield 'Extended L2 entries are only supported with cluster sizes of at least 16384 bytes';
  }
  if (values.has('backing_fmt') && !values.has('backing_file'))
    yield 'Backing format cannot be used without backing file';
  if (old && isOn(values, 'lazy_refcounts'))
    yield 'Lazy refcounts only supported with compatibility level 1.1 and above (use version=v3 or greater)';
  const bits = BigInt(values.get('refcount_bits') ?? 16);
  if (!isPowerOfTwo(bits) || bits > 64n) yield 'Refcount width must be a power of two and may not exceed 64 bits';
  if (old && bits !== 16n)
    yield 'Different refcount widths than 16 bits require compatibility level 1.1 or above (use version=v3 or greater)';
  if (isOn(values, 'data_file_raw')) {
    if (!values.has('data_file')) yield 'data-file-raw requires data-file';
    if (values.has('backing_file')) yield 'Backing file and data-file-raw cannot be used at the same time';
  }
  if (old && values.has('data_file'))
    yield 'External data files are only supported with compatibility level 1.1 and above (use version=v3 or greater)';
  if (old && values.get('compression_type') === 'zstd')
    yield 'Non-zlib compression type is only supported with compatibility level 1.1 and above (use version=v3 or greater)';
  if (isOn(values, 'encryption') && !encryption) yield "Parameter 'encrypt.key-secret' is required for cipher";
  if (values.get('encrypt.format') === 'luks') yield* luks(values, output, 'encrypt.');
}

function* vhdx(values: Values): Generator<string | undefined> {
  yield oneOf(values, 'subformat', 'subformat', ['dynamic', 'fixed']);
  const log = BigInt(values.get('log_size') ?? 1);
  if (log > 4095n << 20n) yield 'Log size must be smaller than 4 GB';
  if (log === 0n) yield 'Log size must be a multiple of 1 MB';
  const block = BigInt(values.get('block_size') ?? 0);
  // It is rounded up to whole MiB, and 256 MiB where it is more.
  const whole = (block + (1n << 20n) - 1n) >> 20n;
  if (block !== 0n && whole < 256n && !isPowerOfTwo(whole)) yield 'Block size must be a power of two';
}

const VMDK_WORDS: Readonly<Record<string, readonly string[]>> = {
  adapter_type: ['ide', 'buslogic', 'lsilogic', 'legacyESX'],
  subformat: ['monolithicSparse', 'monolithicFlat', 'twoGbMaxExtentSparse', 'twoGbMaxExtentFlat', 'streamOptimized'],
};

const FLAT = ['monolithicFlat', 'twoGbMaxExtentFlat'];

function* vmdk(values: Values): Generator<string | undefined> {
  for (const [option, words] of Object.entries(VMDK_WORDS)) {
    const value = values.get(option);
    if (value !== undefined && !words.includes(value)) yield `invalid parameter value: ${escapeText(value)}`;
  }
  if (isOn(values, 'compat6') && values.has('hwversion')) yield 'compat6 cannot be enabled with hwversion set';
  if (isOn(values, 'zeroed_grain') && FLAT.includes(values.get('subformat') ?? ''))
    yield "Flat image can't enable zeroed grain";
}

function* raw(values: Values): Generator<string | undefined> {
  yield oneOf(values, 'preallocation', 'preallocation', PREALLOCATIONS);
  if (values.get('preallocation') === 'metadata') yield 'Unsupported preallocation mode: metadata';
}

/** What the drivers of formats have against values, the first in their order. */
const DRIVERS: Readonly<Record<string, (values: Values, output: DescribedOutput) => Iterable<string | undefined>>> = {
  raw,
  luks: (values, output) => luks(values, output),
  qcow2,
  qed,
  vhdx,
  vmdk,
  vpc: (values) => [oneOf(values, 'subformat', 'subformat', ['dynamic', 'fixed'])],
};

/** What `create` announces: what was given, and defaults that are always told. */
function announced(known: readonly OutputOption[], values: Values): [string, string] {
  const texts = known.map(({ name, shown }) => {
    const value = values.get(name) ?? shown;
    return value === undefined || name === 'size' ? '' : `${name}=${escapeText(value)}`;
  });
  const size = known.findIndex(({ name }) => name === 'size');
  const said = (part: readonly string[]): readonly string[] => part.filter((text) => text !== '');
  return [
    said(texts.slice(0, size))
      .map((text) => `${text} `)
      .join(''),
    said(texts.slice(size))
      .map((text) => ` ${text}`)
      .join(''),
  ];
}

/** What qemu-img has against the options of an output; undefined where it has nothing. */
export function refusalOf(output: DescribedOutput): Refusal | undefined {
  const { format, lists, letters } = output;
  const refused = (sentence: string): Refusal => ({ sentence, announced: false, words: ['', ''] });
  const known = optionsOf(format);
  if (known === undefined) return undefined;
  const given = readOptions(known, lists.flatMap(splitOptions));
  if (typeof given === 'string') return refused(given);
  const lettered = Object.entries(letters).flatMap(([name, value]): [string, string][] =>
    value === undefined ? [] : [[name, value]],
  );
  for (const [name] of lettered) {
    if (known.some((option) => option.name === name)) continue;
    const what = name === 'backing_file' ? 'Backing file' : 'Backing format';
    return refused(`${what} not supported for file format '${format}'`);
  }
  const values = new Map([...given, ...lettered]);
  const driver = Object.entries(DRIVERS).find(([name]) => name === format)?.[1];
  for (const sentence of driver?.(values, output) ?? []) {
    if (sentence !== undefined) return { sentence, announced: true, words: announced(known, values) };
  }
  return undefined;
}

/**
 * Refuses lists of options that are none.
 * @throws EngineError `INVALID_OPTION`
 */
export function requireLists(lists: readonly string[]): void {
  const wrong = lists.find((list) => !isList(list));
  if (wrong !== undefined) throw new EngineError('INVALID_OPTION', `Invalid option list: ${escapeText(wrong)}`);
}
