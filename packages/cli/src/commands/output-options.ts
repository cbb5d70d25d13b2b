import {
  EngineError,
  escapeText,
  VMDK_SUBFORMATS,
  type BackingFile,
  type ImageLayout,
  type OutputEncryption,
  type ConvertFormat,
} from '@instar/engine';
import { OperandError, parseSize } from '@instar/operands';
import { splitOptions } from './option-list.js';

/** What `-o` says of an output. */
export interface OutputOptions {
  readonly layout: ImageLayout;
  /** The image below the output; its format may have been left out. */
  readonly backing: Partial<BackingFile> | undefined;
  /** Bytes of the disk. */
  readonly size: bigint | undefined;
  /** How the output is encrypted, without its passphrase. */
  readonly encryption: EncryptionOptions | undefined;
  /** What `create` says of them: in front of the size, and behind it. */
  readonly words: readonly [before: string, behind: string];
}

/** What the value of an option says, and how `create` shows it. */
interface OptionValue {
  readonly shown: string;
  readonly layout?: ImageLayout;
  readonly backing?: Partial<BackingFile>;
  readonly size?: bigint;
  readonly encryption?: EncryptionOptions;
}

/** An option of an output, by the name that qemu-img has for it. */
export interface OutputOption {
  readonly name: string;
  /** What its values are; one of some words, or a text, where nothing is said. */
  readonly kind?: 'size' | 'switch' | 'number';
  readonly about: string;
  /** What `create` shows of it where it is not given. */
  readonly shown?: string;
  readonly parse: (value: string) => OptionValue;
}

/** What `-o` says of an encryption. */
export interface EncryptionOptions extends Partial<Omit<OutputEncryption, 'passphrase'>> {
  /** Id of the secret that opens the output. */
  readonly secret?: string;
  /** The method of a qcow2 output. */
  readonly method?: 'luks';
}

function invalid(what: string): EngineError {
  return new EngineError('INVALID_OPTION', `-o ${escapeText(what)}`);
}

/** What stands for on and off. */
export const BOOLEANS: Readonly<Record<string, boolean>> = {
  on: true,
  yes: true,
  true: true,
  y: true,
  off: false,
  no: false,
  false: false,
  n: false,
};

function yesNo(name: string, value: string): boolean {
  const found = Object.entries(BOOLEANS).find(([word]) => word === value)?.[1];
  if (found === undefined) throw invalid(`${name}=${value}: expected on or off`);
  return found;
}

function bytes(name: string, value: string): bigint {
  try {
    return parseSize(value);
  } catch (error) {
    if (!(error instanceof OperandError)) throw error;
    throw invalid(`${name}=${value}: expected a size`);
  }
}

/** A size that the layout has under `key`; 0 is the default. */
function sizeOption(name: string, key: 'clusterSize' | 'blockSize', about: string, shown: string): OutputOption {
  return {
    name,
    kind: 'size',
    about,
    shown,
    parse: (value) => {
      const size = bytes(name, value);
      return { shown: String(size), layout: size === 0n && key === 'blockSize' ? {} : { [key]: Number(size) } };
    },
  };
}

function numberOption(
  name: string,
  key: 'refcountBits' | 'hardwareVersion' | 'tableSize',
  about: string,
  kind: Pick<OutputOption, 'kind'>,
  shown?: string,
): OutputOption {
  return {
    name,
    ...kind,
    about,
    ...(shown === undefined ? {} : { shown }),
    parse: (value) => {
      if (value === shown) return { shown: value };
      if (!/^[1-9]\d{0,8}$/.test(value)) throw invalid(`${name}=${value}: expected a number from 1`);
      return { shown: value, layout: { [key]: Number(value) } };
    },
  };
}

function switchOption(name: string, about: string, layout: (on: boolean) => ImageLayout, shown?: string): OutputOption {
  return {
    name,
    kind: 'switch',
    about,
    ...(shown === undefined ? {} : { shown }),
    parse: (value) => {
      const on = yesNo(name, value);
      return { shown: on ? 'on' : 'off', layout: layout(on) };
    },
  };
}

function wordOption(
  name: string,
  about: string,
  words: Readonly<Record<string, ImageLayout>>,
  shown?: string,
): OutputOption {
  return {
    name,
    about,
    ...(shown === undefined ? {} : { shown }),
    parse: (value) => {
      const layout = Object.entries(words).find(([word]) => word === value)?.[1];
      if (layout === undefined) throw invalid(`${name}=${value}: expected ${Object.keys(words).join(', ')}`);
      return { shown: value, layout };
    },
  };
}

/** An option of which only what is written anyway can be had. */
function onlyOption(
  name: string,
  kind: Pick<OutputOption, 'kind'>,
  values: readonly [string, ...string[]],
  shown?: string,
): OutputOption {
  return {
    name,
    ...kind,
    about: values[0],
    ...(shown === undefined ? {} : { shown }),
    parse: (value) => {
      if (!values.includes(value)) throw invalid(`${name}=${value}: is not written; expected ${values.join(' or ')}`);
      return { shown: shown ?? value };
    },
  };
}

const BACKING: readonly OutputOption[] = [
  {
    name: 'backing_file',
    about: 'name of the image below',
    parse: (file) => ({ shown: escapeText(file), backing: { file } }),
  },
  {
    name: 'backing_fmt',
    about: 'format of the image below',
    parse: (format) => ({ shown: escapeText(format), backing: { format } }),
  },
];

/** An option of encryption, one of some words. */
function encryptionOption(
  name: string,
  about: string,
  words: Readonly<Record<string, EncryptionOptions>>,
): OutputOption {
  return {
    name,
    about,
    parse: (value) => {
      const encryption = Object.entries(words).find(([word]) => word === value)?.[1];
      if (encryption === undefined) throw invalid(`${name}=${value}: expected ${Object.keys(words).join(', ')}`);
      return { shown: value, encryption };
    },
  };
}

/** Options of LUKS, whose names may have something in front. */
function luksOptions(prefix: string): readonly OutputOption[] {
  return [
    {
      name: `${prefix}key-secret`,
      about: 'id of the secret that opens it; may be left out where there is just one',
      parse: (secret) => ({ shown: escapeText(secret), encryption: { secret } }),
    },
    encryptionOption(`${prefix}cipher-alg`, 'aes-128 or aes-256 (aes-256)', {
      'aes-128': { keyBits: 128 },
      'aes-256': { keyBits: 256 },
    }),
    encryptionOption(`${prefix}cipher-mode`, 'xts or cbc (xts)', { xts: { mode: 'xts' }, cbc: { mode: 'cbc' } }),
    encryptionOption(`${prefix}ivgen-alg`, 'plain, plain64 or essiv (plain64)', {
      plain: { ivGenerator: 'plain' },
      plain64: { ivGenerator: 'plain64' },
      essiv: { ivGenerator: 'essiv' },
    }),
    encryptionOption(`${prefix}ivgen-hash-alg`, 'sha256, for essiv (sha256)', { sha256: { ivHash: 'sha256' } }),
    encryptionOption(`${prefix}hash-alg`, 'sha1, sha224, sha256, sha384 or sha512 (sha256)', {
      sha1: { hash: 'sha1' },
      sha224: { hash: 'sha224' },
      sha256: { hash: 'sha256' },
      sha384: { hash: 'sha384' },
      sha512: { hash: 'sha512' },
    }),
    {
      name: `${prefix}iter-time`,
      kind: 'number',
      about: 'milliseconds that trying a passphrase takes (2000)',
      parse: (value) => {
        if (!/^[1-9]\d{0,8}$/.test(value)) throw invalid(`${prefix}iter-time=${value}: expected a number from 1`);
        return { shown: value, encryption: { iterTimeMs: Number(value) } };
      },
    },
  ];
}

const SIZE: OutputOption = {
  name: 'size',
  kind: 'size',
  about: 'bytes of the disk',
  parse: (value) => ({ shown: '', size: bytes('size', value) }),
};

const GROWS_OR_NOT = wordOption('subformat', 'dynamic or fixed (dynamic)', {
  dynamic: { subformat: 'dynamic' },
  fixed: { subformat: 'fixed' },
});

const VMDK_LAYOUTS = Object.fromEntries(VMDK_SUBFORMATS.map((subformat) => [subformat, { subformat }]));

/** Options of each format, in the order in which `create` shows them. */
const OPTIONS: Readonly<Record<ConvertFormat, readonly OutputOption[]>> = {
  raw: [
    SIZE,
    wordOption('preallocation', 'off, falloc or full (off)', {
      off: { preallocation: 'off' },
      falloc: { preallocation: 'falloc' },
      full: { preallocation: 'full' },
    }),
  ],
  luks: [
    SIZE,
    ...luksOptions(''),
    encryptionOption('version', '1 or 2, of LUKS (1)', { 1: { version: 1 }, 2: { version: 2 } }),
  ],
  qcow2: [
    onlyOption('encryption', { kind: 'switch' }, ['off']),
    encryptionOption('encrypt.format', 'luks, for an image that is encrypted', { luks: { method: 'luks' } }),
    ...luksOptions('encrypt.'),
    sizeOption('cluster_size', 'clusterSize', 'bytes of a cluster, 512 to 2M (65536)', '65536'),
    switchOption('extended_l2', 'entries for subclusters (off)', (extendedL2) => ({ extendedL2 }), 'off'),
    wordOption('preallocation', 'off, metadata, falloc or full (off)', {
      off: { preallocation: 'off' },
      metadata: { preallocation: 'metadata' },
      falloc: { preallocation: 'falloc' },
      full: { preallocation: 'full' },
    }),
    wordOption(
      'compression_type',
      'zlib or zstd (zlib)',
      { zlib: { compressionType: 'zlib' }, zstd: { compressionType: 'zstd' } },
      'zlib',
    ),
    SIZE,
    wordOption('compat', '0.10 or 1.1, that is version 2 or 3 (1.1)', {
      '0.10': { version: 2 },
      v2: { version: 2 },
      '1.1': { version: 3 },
      v3: { version: 3 },
    }),
    ...BACKING,
    {
      name: 'data_file',
      about: 'name of the file that has the data, from the directory of the output on',
      parse: (dataFile) => {
        if (dataFile === '') throw invalid('data_file=: expected the name of a file');
        return { shown: escapeText(dataFile), layout: { dataFile } };
      },
    },
    switchOption('data_file_raw', 'the data file alone is the disk (off)', (dataFileRaw) => ({ dataFileRaw })),
    switchOption(
      'lazy_refcounts',
      'refcounts may be written late (off)',
      (lazyRefcounts) => ({ lazyRefcounts }),
      'off',
    ),
    numberOption('refcount_bits', 'refcountBits', 'width of a refcount, 1 to 64 (16)', { kind: 'number' }, '16'),
    switchOption('nocow', 'without effect: files of btrfs are made as their directory says (off)', () => ({})),
  ],
  vmdk: [
    SIZE,
    wordOption('adapter_type', 'ide, buslogic, lsilogic or legacyESX (ide)', {
      ide: { adapterType: 'ide' },
      buslogic: { adapterType: 'buslogic' },
      lsilogic: { adapterType: 'lsilogic' },
      legacyESX: { adapterType: 'legacyESX' },
    }),
    switchOption('compat6', 'virtual hardware of version 6 (off)', (on) => (on ? { hardwareVersion: 6 } : {}), 'off'),
    numberOption('hwversion', 'hardwareVersion', 'version of the virtual hardware (4)', {}, 'undefined'),
    wordOption('subformat', `${VMDK_SUBFORMATS.join(', ')} (monolithicSparse)`, VMDK_LAYOUTS),
    onlyOption('zeroed_grain', { kind: 'switch' }, ['off']),
  ],
  vdi: [
    SIZE,
    switchOption('static', 'every block has a place (off)', (on) => ({ subformat: on ? 'fixed' : 'dynamic' }), 'off'),
    onlyOption('preallocation', {}, ['off']),
  ],
  vpc: [
    SIZE,
    GROWS_OR_NOT,
    switchOption('force_size', 'keep the size, and not that of a geometry (off)', (forceSize) => ({ forceSize })),
  ],
  vhdx: [
    SIZE,
    onlyOption('log_size', { kind: 'size' }, ['1048576', '1M'], '1048576'),
    sizeOption('block_size', 'blockSize', 'bytes of a block, 1M to 256M; 0 chooses by the size of the disk (0)', '0'),
    GROWS_OR_NOT,
    onlyOption('block_state_zero', { kind: 'switch' }, ['on']),
  ],
  parallels: [SIZE, sizeOption('cluster_size', 'clusterSize', 'bytes of a cluster, 512 to 64M (1048576)', '1048576')],
  qed: [
    SIZE,
    ...BACKING,
    sizeOption('cluster_size', 'clusterSize', 'bytes of a cluster, 4k to 4M (65536)', '65536'),
    numberOption('table_size', 'tableSize', 'clusters of a table, 2 to 16 (4)', { kind: 'size' }),
  ],
  qcow: [SIZE, ...BACKING, onlyOption('encryption', { kind: 'switch' }, ['off'])],
  simg: [SIZE],
  ova: [
    wordOption('adapter_type', 'ide, buslogic or lsilogic (lsilogic)', {
      ide: { adapterType: 'ide' },
      buslogic: { adapterType: 'buslogic' },
      lsilogic: { adapterType: 'lsilogic' },
    }),
  ],
};

/** Formats of differencing disks. */
const DIFFERENCING: readonly string[] = ['vpc', 'vhdx'];

/** The options of a format, in the order in which `create` shows them; undefined of a format that is not written. */
export function optionsOf(format: string): readonly OutputOption[] | undefined {
  return Object.entries(OPTIONS).find(([name]) => name === format)?.[1];
}

const KINDS = { size: 'size', switch: 'bool (on/off)', number: 'num' } as const;

/**
 * What `-o help` says; undefined where it was not asked for.
 * @throws EngineError `UNSUPPORTED_FORMAT`
 */
export function outputOptionsHelp(given: readonly string[], format: string): string | undefined {
  if (!given.flatMap(splitOptions).some(({ key }) => key === 'help' || key === '?')) return undefined;
  const known = optionsOf(format);
  if (known === undefined)
    throw new EngineError('UNSUPPORTED_FORMAT', `unknown output format '${escapeText(format)}'`, { file: format });
  const lines = known.map(
    ({ name, kind, about }) => `  ${name}=<${kind === undefined ? 'str' : KINDS[kind]}> - ${about}\n`,
  );
  return `Supported ${format} options:\n${lines.sort().join('')}`;
}

/**
 * Reads `-o`. What an output cannot have is refused by name.
 * @param more options that have letters of their own (`-b`, `-F`)
 * @param differencing a differencing disk may be made, which qemu-img makes none of
 * @throws EngineError `INVALID_OPTION`
 */
export function outputOptions(
  given: readonly string[],
  format: string,
  more: Readonly<Record<string, string | undefined>> = {},
  differencing = false,
): OutputOptions {
  const own = optionsOf(format);
  const known = differencing && DIFFERENCING.includes(format) && own !== undefined ? [...own, ...BACKING] : own;
  // That there is no such format is said where it is looked for.
  if (known === undefined)
    return { layout: {}, backing: undefined, size: undefined, encryption: undefined, words: ['', ''] };
  const values = new Map<OutputOption, OptionValue>();
  const listed = given.flatMap(splitOptions).map(({ key, value = 'on' }) => ({ key, value }));
  const lettered = Object.entries(more).flatMap(([key, value]) => (value === undefined ? [] : [{ key, value }]));
  for (const { key, value } of [...listed, ...lettered]) {
    const option = known.find(({ name }) => name === key);
    if (option === undefined) {
      const names = known.map(({ name }) => name).join(', ');
      throw invalid(`${key}: no option of ${format} outputs that is written; expected one of ${names}`);
    }
    values.set(option, option.parse(value));
  }
  const has = (name: string): OptionValue | undefined =>
    values.get(known.find((option) => option.name === name) ?? SIZE);
  if (has('compat6')?.layout?.hardwareVersion !== undefined && has('hwversion') !== undefined)
    throw invalid('compat6: cannot be on together with hwversion, of which it is a value');
  const found = [...values.values()];
  const parts = found.flatMap(({ backing }) => (backing === undefined ? [] : [backing]));
  return {
    layout: Object.assign({}, ...found.map(({ layout }) => layout)) as ImageLayout,
    backing: parts.length === 0 ? undefined : (Object.assign({}, ...parts) as Partial<BackingFile>),
    size: values.get(SIZE)?.size,
    encryption: encryptionOf(format, found),
    words: words(known, values),
  };
}

function encryptionOf(format: string, found: readonly OptionValue[]): EncryptionOptions | undefined {
  const parts = found.flatMap(({ encryption }) => (encryption === undefined ? [] : [encryption]));
  const all = Object.assign({}, ...parts) as EncryptionOptions;
  if (format === 'luks') return all;
  if (parts.length > 0 && all.method === undefined)
    throw invalid('encrypt.format: needed by the other options of encrypt');
  return all.method === undefined ? undefined : all;
}

/** The encryption of an output with its passphrase. */
export function wholeEncryption(
  { encryption }: OutputOptions,
  passphrase: (id: string | undefined) => Uint8Array,
): OutputEncryption | undefined {
  if (encryption === undefined) return undefined;
  const { secret, method: _, ...rest } = encryption;
  return { ...rest, passphrase: passphrase(secret) };
}

function words(known: readonly OutputOption[], values: ReadonlyMap<OutputOption, OptionValue>): [string, string] {
  const texts = known.map((option) => {
    const shown = values.get(option)?.shown ?? option.shown;
    return shown === undefined || option === SIZE ? '' : `${option.name}=${shown}`;
  });
  const size = known.indexOf(SIZE);
  const before = texts.slice(0, size).filter((text) => text !== '');
  const behind = texts.slice(size).filter((text) => text !== '');
  return [before.map((text) => `${text} `).join(''), behind.map((text) => ` ${text}`).join('')];
}

/**
 * The backing file of an output, whole.
 * @throws EngineError `INVALID_OPTION`
 */
export function wholeBacking({ backing }: OutputOptions): BackingFile | undefined {
  if (backing === undefined) return undefined;
  const { file, format } = backing;
  if (file === undefined)
    throw new EngineError('INVALID_OPTION', '-F: needs the backing file that it is the format of, -b');
  if (format === undefined) {
    throw new EngineError(
      'INVALID_OPTION',
      `-b: the backing file ${escapeText(file)} needs its format, as in -F qcow2: whoever opens the output must not guess it`,
    );
  }
  return { file, format };
}

/** What the library calls options, in words of the command. */
const WORDS: Readonly<Record<string, string>> = {
  clusterSize: '-o cluster_size',
  compressionType: '-o compression_type',
  refcountBits: '-o refcount_bits',
  tableSize: '-o table_size',
  backing: '-b',
  dataFile: '-o data_file',
  dataFileRaw: '-o data_file_raw',
  lazyRefcounts: '-o lazy_refcounts',
  extendedL2: '-o extended_l2',
  blockSize: '-o block_size',
  sparseSize: '-S',
  existing: '-n',
  checkBacking: '-u',
  targetIsZero: '--target-is-zero',
  compressLevel: '--compress-level',
  compress: '-c',
};

/** Runs an operation of the library, whose errors about options name those of the command. */
export async function inWordsOfCommand<T>(operation: () => Promise<T>): Promise<T> {
  try {
    return await operation();
  } catch (error) {
    if (!(error instanceof EngineError) || error.code !== 'INVALID_OPTION') throw error;
    const [name = ''] = /^[A-Za-z0-9]+/.exec(error.message) ?? [];
    const word = Object.entries(WORDS).find(([known]) => known === name)?.[1];
    throw word === undefined ? error : new EngineError(error.code, `${word}${error.message.slice(name.length)}`);
  }
}
