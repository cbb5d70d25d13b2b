import { EngineError, escapeText, type BackingFile, type ImageLayout, type OutputEncryption } from '@instar/engine';
import { splitOptions } from './option-list.js';
import { BACKING, optionsOf, SIZE } from './options-of-formats.js';
import { invalid, type EncryptionOptions, type OptionValue, type OutputOption } from './output-option.js';

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

/** Formats of differencing disks. */
const DIFFERENCING: readonly string[] = ['vpc', 'vhdx'];

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
