import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { describeSystemError, EngineError, quoteName, systemErrorName, type OperationControl } from '@instar/engine';
import { OperandError, parseSize } from '@instar/operands';
import { splitOptions } from './option-list.js';

/** Longest secret (bytes); what a run can have in all is a little less. */
const MOST_BYTES = 65_536;

/** Secrets of a command line. */
export interface Secrets {
  /** By the ids of `--object secret`. */
  readonly named: ReadonlyMap<string, Uint8Array>;
  /** Those of `--passphrase-file`. */
  readonly files: readonly Uint8Array[];
  /** Most memory that making a key may take (bytes). */
  readonly keyMemory: bigint | undefined;
}

function invalid(what: string): EngineError {
  return new EngineError('INVALID_OPTION', what);
}

/** The whole of a file, a line feed at its end as well, as qemu-img and cryptsetup take it. */
function readSecret(file: string): Uint8Array {
  let fd: number;
  try {
    fd = openSync(file, 'r');
  } catch (error) {
    throw new EngineError(
      'READ_FAILED',
      `the passphrase could not be read: ${describeSystemError(systemErrorName(error) ?? 'EIO')}`,
      {
        file,
        cause: error,
      },
    );
  }
  try {
    if (fstatSync(fd).isDirectory()) throw new EngineError('READ_FAILED', 'is a directory, not a passphrase', { file });
    const bytes = new Uint8Array(MOST_BYTES + 1);
    let length = 0;
    for (let read = -1; read !== 0 && length < bytes.length; length += read) {
      read = readSync(fd, bytes, length, bytes.length - length, null);
    }
    if (length > MOST_BYTES)
      throw invalid(`${quoteName(file)} holds more than ${MOST_BYTES} bytes, which no passphrase has`);
    return bytes.slice(0, length);
  } finally {
    closeSync(fd);
  }
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

function fromBase64(bytes: Uint8Array, id: string): Uint8Array {
  const text = Buffer.from(bytes).toString('latin1').replaceAll(/\s/g, '');
  if (!BASE64.test(text)) throw invalid(`--object secret: ${quoteName(id)} is not base64`);
  return new Uint8Array(Buffer.from(text, 'base64'));
}

/** `secret,id=NAME,data=TEXT|file=FILE[,format=raw|base64]`: its id and its bytes. No message repeats the data. */
function parseObject(definition: string): readonly [id: string, bytes: Uint8Array] {
  const [type, ...fields] = splitOptions(definition);
  if (type?.key !== 'secret' || type.value !== undefined) {
    throw invalid('--object: only secrets are offered; it takes secret,id=NAME,file=FILE');
  }
  const given = new Map(fields.map(({ key, value }) => [key, value ?? '']));
  for (const key of given.keys()) {
    if (!['id', 'data', 'file', 'format'].includes(key)) {
      // It may be a part of the secret.
      throw invalid('--object secret takes id=, data=, file= and format=; a comma in the data is written twice');
    }
  }
  const id = given.get('id') ?? '';
  if (id === '') throw invalid('--object secret needs id=NAME');
  const [data, file, format = 'raw'] = [given.get('data'), given.get('file'), given.get('format')];
  if ((data === undefined) === (file === undefined)) {
    throw invalid(`--object secret: ${quoteName(id)} needs one of data= and file=`);
  }
  if (format !== 'raw' && format !== 'base64') throw invalid('--object secret: format is raw or base64');
  const bytes = data === undefined ? readSecret(file ?? '') : new TextEncoder().encode(data);
  return [id, format === 'base64' ? fromBase64(bytes, id) : bytes];
}

const FLAGS = ['--passphrase-file', '--object', '--limit-key-memory'] as const;

/**
 * Takes secrets out of a command line.
 * @throws EngineError `INVALID_OPTION`, `READ_FAILED`
 */
export function takeSecrets(tokens: readonly string[]): {
  readonly rest: readonly string[];
  readonly secrets: Secrets;
} {
  const rest: string[] = [];
  const named = new Map<string, Uint8Array>();
  const files: Uint8Array[] = [];
  let keyMemory: bigint | undefined;
  for (let index = 0; index < tokens.length; index += 1) {
    const token = tokens[index] ?? '';
    const flag = FLAGS.find((name) => token === name || token.startsWith(`${name}=`));
    if (flag === undefined) {
      rest.push(token);
      continue;
    }
    const value = token === flag ? tokens[(index += 1)] : token.slice(flag.length + 1);
    if (value === undefined || value === '') throw invalid(`${flag} needs a value`);
    if (flag === '--passphrase-file') files.push(readSecret(value));
    else if (flag === '--object') {
      const [id, bytes] = parseObject(value);
      named.set(id, bytes);
    } else keyMemory = readSize(flag, value);
  }
  return { rest, secrets: { named, files, keyMemory } };
}

function readSize(flag: string, value: string): bigint {
  try {
    return parseSize(value);
  } catch (error) {
    if (!(error instanceof OperandError)) throw error;
    throw invalid(`${flag}: ${error.message}`);
  }
}

/**
 * The passphrase of an output.
 * @param id that of a secret; without one, there must be just one
 * @throws EngineError `INVALID_OPTION`
 */
export function outputPassphrase({ named, files }: Secrets, id: string | undefined): Uint8Array {
  if (id !== undefined) {
    const bytes = named.get(id);
    if (bytes === undefined) throw noSecret(id);
    return bytes;
  }
  const [only, ...others] = [...named.values(), ...files];
  if (only !== undefined && others.length === 0) return only;
  throw invalid(
    only === undefined
      ? 'an encrypted output needs --passphrase-file FILE, or --object secret,id=NAME,file=FILE and -o key-secret=NAME'
      : 'which of the passphrases is that of the output: name it with -o key-secret=NAME (qcow2: encrypt.key-secret)',
  );
}

function noSecret(id: string): EngineError {
  return invalid(`No secret with id ${quoteName(id)}: define it with --object secret,id=…`);
}

/**
 * What an operation gets of them.
 * @param wanted ids of the secrets that the images name; undefined for all
 * @throws EngineError `INVALID_OPTION` when there is none of that id
 */
export function passphrasesOf(
  { named, files }: Secrets,
  wanted: readonly string[] | undefined,
): Pick<OperationControl, 'passphrases'> {
  const chosen = (wanted ?? [...named.keys()]).map((id) => {
    const bytes = named.get(id);
    if (bytes === undefined) throw noSecret(id);
    return bytes;
  });
  return { passphrases: [...chosen, ...files] };
}
