import { EngineError, escapeText, type BackingFile, type ImageLayout, type OutputEncryption } from '@instar/engine';
import { OperandError, parseSize } from '@instar/operands';

// One option of an output: what its values are, and how each kind is read.

/** What the value of an option says, and how `create` shows it. */
export interface OptionValue {
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

const MOST_NUMBER = 0xffff_ffff;

/** A refusal of what `-o` says. */
export function invalid(what: string): EngineError {
  return new EngineError('INVALID_OPTION', `-o ${escapeText(what)}`);
}

/** A text as it would be written in a list, in which a comma stands twice. */
export function listed(text: string): string {
  return escapeText(text).replaceAll(',', ',,');
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

/** Reads a size. */
export function bytes(name: string, value: string): bigint {
  try {
    return parseSize(value);
  } catch (error) {
    if (!(error instanceof OperandError)) throw error;
    throw invalid(`${name}=${value}: expected a size`);
  }
}

/** A size that the layout has under `key`; 0 is the default. */
export function sizeOption(name: string, key: 'clusterSize' | 'blockSize', about: string, shown: string): OutputOption {
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

export function numberOption(
  name: string,
  key: 'refcountBits' | 'hardwareVersion' | 'toolsVersion' | 'tableSize',
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
      if (!/^(?:[1-9]\d{0,9}|0x[\da-f]{1,8})$/i.test(value) || Number(value) < 1 || Number(value) > MOST_NUMBER)
        throw invalid(`${name}=${value}: expected a number from 1 to ${MOST_NUMBER}`);
      return { shown: String(Number(value)), layout: { [key]: Number(value) } };
    },
  };
}

export function switchOption(
  name: string,
  about: string,
  layout: (on: boolean) => ImageLayout,
  shown?: string,
): OutputOption {
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

export function wordOption(
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
export function onlyOption(
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
