import { escapeText, VMDK_SUBFORMATS, type ConvertFormat } from '@instar/engine';
import {
  bytes,
  invalid,
  listed,
  numberOption,
  onlyOption,
  sizeOption,
  switchOption,
  wordOption,
  type EncryptionOptions,
  type OutputOption,
} from './output-option.js';

const MIB = 1n << 20n;
const MOST_LOG = 4095n * MIB;
const MOST_BLOCK = 256n * MIB;
const MOST_HINT = 0xffff_ffffn;

/** Bytes of the log of a vhdx, which are whole MiB. */
const LOG_SIZE: OutputOption = {
  name: 'log_size',
  kind: 'size',
  about: 'bytes of the log, rounded up to whole MiB (1048576)',
  shown: '1048576',
  parse: (value) => {
    const size = bytes('log_size', value);
    const rounded = ((size + MIB - 1n) / MIB) * MIB;
    if (size === 0n || rounded > MOST_LOG) throw invalid(`log_size=${value}: expected a size from 1 to less than 4G`);
    return { shown: String(size), layout: { logSize: Number(rounded) } };
  },
};

/** Bytes of a block of a vhdx. */
const BLOCK_SIZE: OutputOption = {
  name: 'block_size',
  kind: 'size',
  about: 'bytes of a block, rounded up to whole MiB, at most 256M; 0 chooses by the size of the disk (0)',
  shown: '0',
  parse: (value) => {
    const size = bytes('block_size', value);
    const rounded = ((size + MIB - 1n) / MIB) * MIB;
    const layout = size === 0n ? {} : { blockSize: Number(rounded < MOST_BLOCK ? rounded : MOST_BLOCK) };
    return { shown: String(size), layout };
  },
};

/** Options that name the image below. */
export const BACKING: readonly OutputOption[] = [
  {
    name: 'backing_file',
    about: 'name of the image below',
    parse: (file) => ({ shown: listed(file), backing: { file } }),
  },
  {
    name: 'backing_fmt',
    about: 'format of the image below',
    parse: (format) => ({ shown: listed(format), backing: { format } }),
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

/** How large the disk is. */
export const SIZE: OutputOption = {
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

/** Options that qemu-img has of the file in which an image lies. */
const OF_FILES: readonly OutputOption[] = [
  switchOption('nocow', 'without effect: files of btrfs are made as their directory says (off)', () => ({})),
  {
    name: 'extent_size_hint',
    kind: 'size',
    about: 'without effect: files of XFS are made as their directory says (0)',
    parse: (value) => {
      const size = bytes('extent_size_hint', value);
      if (size > MOST_HINT) throw invalid(`extent_size_hint=${value}: expected less than 4G`);
      return { shown: String(size) };
    },
  },
];

/** Options of each format, in the order in which `create` shows them. */
const OPTIONS: Readonly<Record<ConvertFormat, readonly OutputOption[]>> = {
  raw: [
    SIZE,
    wordOption('preallocation', 'off, falloc or full (off)', {
      off: { preallocation: 'off' },
      falloc: { preallocation: 'falloc' },
      full: { preallocation: 'full' },
    }),
    ...OF_FILES,
  ],
  luks: [
    SIZE,
    ...luksOptions(''),
    encryptionOption('version', '1 or 2, of LUKS (1)', { 1: { version: 1 }, 2: { version: 2 } }),
    ...OF_FILES,
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
        return { shown: listed(dataFile), layout: { dataFile } };
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
    ...OF_FILES,
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
    numberOption('toolsversion', 'toolsVersion', 'version of the tools in the guest (2147483647)', {}),
    wordOption('subformat', `${VMDK_SUBFORMATS.join(', ')} (monolithicSparse)`, VMDK_LAYOUTS),
    switchOption('zeroed_grain', 'entries may say that a grain is zeros (off)', (zeroedGrains) => ({ zeroedGrains })),
    ...OF_FILES,
  ],
  vdi: [
    SIZE,
    switchOption('static', 'every block has a place (off)', (on) => ({ subformat: on ? 'fixed' : 'dynamic' }), 'off'),
    onlyOption('preallocation', {}, ['off']),
    ...OF_FILES,
  ],
  vpc: [
    SIZE,
    GROWS_OR_NOT,
    switchOption('force_size', 'keep the size, and not that of a geometry (off)', (forceSize) => ({ forceSize })),
    ...OF_FILES,
  ],
  vhdx: [
    SIZE,
    LOG_SIZE,
    BLOCK_SIZE,
    GROWS_OR_NOT,
    switchOption('block_state_zero', 'without effect: a block that was not written reads as zeros (on)', () => ({})),
    ...OF_FILES,
  ],
  parallels: [
    SIZE,
    sizeOption('cluster_size', 'clusterSize', 'bytes of a cluster, 512 to 64M (1048576)', '1048576'),
    ...OF_FILES,
  ],
  qed: [
    SIZE,
    ...BACKING,
    sizeOption('cluster_size', 'clusterSize', 'bytes of a cluster, 4k to 4M (65536)', '65536'),
    numberOption('table_size', 'tableSize', 'clusters of a table, 2 to 16 (4)', { kind: 'size' }),
    ...OF_FILES,
  ],
  qcow: [SIZE, ...BACKING, onlyOption('encryption', { kind: 'switch' }, ['off']), ...OF_FILES],
  simg: [SIZE],
  ova: [
    wordOption('adapter_type', 'ide, buslogic or lsilogic (lsilogic)', {
      ide: { adapterType: 'ide' },
      buslogic: { adapterType: 'buslogic' },
      lsilogic: { adapterType: 'lsilogic' },
    }),
  ],
};

/** The options of a format, in the order in which `create` shows them; undefined of a format that is not written. */
export function optionsOf(format: string): readonly OutputOption[] | undefined {
  return Object.entries(OPTIONS).find(([name]) => name === format)?.[1];
}
