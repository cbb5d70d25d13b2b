import { EngineError, escapeText, type Qcow2Layout } from '@instar/engine';
import { OperandError, parseSize } from '@instar/operands';
import { splitOptions } from './option-list.js';

/** What an option of an output may be. */
interface OutputOption {
  /** Values that are what is written anyway. */
  readonly same?: readonly string[];
  /** What it says about the layout. */
  readonly layout?: (value: string) => Qcow2Layout;
  readonly about: string;
}

function compressionType(value: string): Qcow2Layout {
  if (value !== 'zlib' && value !== 'zstd') throw invalid(`compression_type: expected zlib or zstd, found ${value}`);
  return { compressionType: value };
}

function sizeOf(value: string): bigint | undefined {
  try {
    return parseSize(value);
  } catch (error) {
    if (!(error instanceof OperandError)) throw error;
    return undefined;
  }
}

function clusterSize(value: string): Qcow2Layout {
  const bytes = sizeOf(value) ?? 0n;
  const fits = bytes >= 512n && bytes <= 2n ** 21n && (bytes & (bytes - 1n)) === 0n;
  if (!fits) throw invalid(`cluster_size: expected a power of two from 512 to 2M, found ${value}`);
  return { clusterSize: Number(bytes) };
}

/** Options of each format, by the names of qemu-img. */
const OPTIONS: Readonly<Record<string, Readonly<Record<string, OutputOption>>>> = {
  raw: { preallocation: { same: ['off'], about: 'off' } },
  qcow2: {
    cluster_size: { layout: clusterSize, about: 'bytes of a cluster, 512 to 2M (65536)' },
    compression_type: { layout: compressionType, about: 'zlib or zstd (zlib)' },
    compat: { same: ['1.1', 'v3'], about: '1.1' },
    encryption: { same: ['off'], about: 'off' },
    extended_l2: { same: ['off'], about: 'off' },
    lazy_refcounts: { same: ['off'], about: 'off' },
    preallocation: { same: ['off'], about: 'off' },
    refcount_bits: { same: ['16'], about: '16' },
  },
  vmdk: {
    adapter_type: { same: ['ide'], about: 'ide' },
    compat6: { same: ['off'], about: 'off' },
    hwversion: { same: ['undefined'], about: 'undefined' },
    subformat: { same: ['monolithicSparse'], about: 'monolithicSparse' },
    zeroed_grain: { same: ['off'], about: 'off' },
  },
  vdi: { static: { same: ['off'], about: 'off' } },
  vpc: { force_size: { same: ['on'], about: 'on' }, subformat: { same: ['dynamic'], about: 'dynamic' } },
  vhdx: {
    block_size: { same: ['0'], about: '0, which chooses it by the size of the disk' },
    block_state_zero: { same: ['on'], about: 'on' },
    log_size: { same: ['1048576', '1M'], about: '1M' },
    subformat: { same: ['dynamic'], about: 'dynamic' },
  },
  parallels: { cluster_size: { same: ['1048576', '1M'], about: '1M' } },
};

function invalid(what: string): EngineError {
  return new EngineError('INVALID_OPTION', `-o ${escapeText(what)}`);
}

/** What `-o help` says; undefined where it was not asked for. */
export function outputOptionsHelp(given: readonly string[], format: string): string | undefined {
  if (!given.flatMap(splitOptions).some(({ key }) => key === 'help' || key === '?')) return undefined;
  const lines = Object.entries(OPTIONS[format] ?? {}).map(([name, { about }]) => `  ${name}=<str> - ${about}\n`);
  return `Supported options:\n${lines.join('')}`;
}

/**
 * Reads `-o`. An option that would change nothing is taken; one that is not written is refused by name.
 * @throws EngineError `INVALID_OPTION`
 */
export function outputOptions(given: readonly string[], format: string): Qcow2Layout {
  const layout: { -readonly [K in keyof Qcow2Layout]: Qcow2Layout[K] } = {};
  const options = Object.entries(OPTIONS).find(([name]) => name === format)?.[1];
  // That there is no such format is said where it is looked for.
  if (options === undefined) return layout;
  for (const { key: name, value = 'on' } of given.flatMap(splitOptions)) {
    const option = Object.entries(options).find(([known]) => known === name)?.[1];
    if (option === undefined) {
      const known = Object.keys(options).join(', ');
      throw invalid(`${name}: no option of ${format} outputs that is written; expected one of ${known}`);
    }
    if (option.layout !== undefined) Object.assign(layout, option.layout(value));
    else if (option.same?.includes(value) !== true) {
      throw invalid(`${name}=${value}: is not written yet; expected ${option.same?.join(' or ') ?? ''}`);
    }
  }
  return layout;
}
