import type { ProgressDisplay } from '../render/progress.js';
import type { SpokenError, Voice } from '../voice.js';

// Sentences that programs which call qemu-img look for, and its forms of words (measured against qemu-img 10.0).

/** What the C library says of errors that files have. */
const SYSTEM_ERRORS: Readonly<Record<string, string>> = {
  EACCES: 'Permission denied',
  EBUSY: 'Device or resource busy',
  EEXIST: 'File exists',
  EIO: 'Input/output error',
  EISDIR: 'Is a directory',
  ELOOP: 'Too many levels of symbolic links',
  ENOENT: 'No such file or directory',
  ENOSPC: 'No space left on device',
  ENOTDIR: 'Not a directory',
  EPERM: 'Operation not permitted',
  EROFS: 'Read-only file system',
};

function withoutFile({ message, file }: SpokenError): string {
  return file !== undefined && message.startsWith(`${file}: `) ? message.slice(file.length + 2) : message;
}

function sentence(error: SpokenError): string {
  const { code, message, file, system } = error;
  const why = system === undefined ? undefined : SYSTEM_ERRORS[system];
  if (file === undefined) return message;
  switch (code) {
    case 'READ_FAILED':
      return why === undefined ? message : `Could not open '${file}': Could not open '${file}': ${why}`;
    case 'INPUT_IN_USE':
      return `Could not open '${file}': Failed to get shared "write" lock\nIs another process using the image [${file}]?`;
    case 'NO_SPACE':
    case 'WRITE_FAILED':
      return why === undefined ? message : `${file}: error while writing: ${why}`;
    case 'IMAGE_SNAPSHOT_MISSING':
      return "Failed to load snapshot: Can't find snapshot";
    case 'UNSUPPORTED_FORMAT': {
      const [, name] = /^unknown (?:output )?format '([^']*)'/.exec(withoutFile(error)) ?? [];
      if (name === undefined) return message;
      return withoutFile(error).startsWith('unknown output')
        ? `Unknown file format '${name}'`
        : `Unknown driver '${name}'`;
    }
    default:
      return code.startsWith('IMAGE_') || code.startsWith('REFERENCE_') || code === 'PATH_REFUSED'
        ? `Could not open '${file}': ${withoutFile(error)}`
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
  const show = (value: number): void => {
    if (value - last < 1 && (value < 100 || last >= 100)) return;
    last = value;
    process.stdout.write(`    (${value.toFixed(2)}/100%)\r`);
  };
  show(0);
  return {
    update(done, total) {
      show(percent(done, total));
    },
    close() {
      process.stdout.write('\n');
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
    const said = `qemu-img: ${error.usage ? error.message.replace(/; see instar .*$/, '') : sentence(error)}`;
    return error.usage ? `${said}\nTry 'qemu-img ${command} --help' for more information` : said;
  },
  warning: (text) => `qemu-img: warning: ${text}`,
  progress,
};
