import { errnoName } from '@instar/vmm-native/errno';

/** Short sentences for system errors that users meet. */
const SYSTEM_ERRORS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EBUSY: 'it is in use',
  EBADF: 'the descriptor is closed, or open for the other direction only',
  EDQUOT: 'the disk quota is exhausted',
  EFBIG: 'the file would be larger than its file system or limit allows',
  EISDIR: 'is a directory',
  EINVAL: 'not possible with this file',
  EIO: 'input/output error',
  ELOOP: 'too many symbolic links',
  EMEDIUMTYPE: 'the medium has the wrong type',
  EMFILE: 'too many open files of this process; raise ulimit -n (RLIMIT_NOFILE)',
  ENFILE: 'too many open files on this machine',
  ENOMEM: 'out of memory; a limit on the address space (ulimit -v, RLIMIT_AS) may be too low',
  ENAMETOOLONG: 'the name is too long',
  ENOENT: 'no such file or directory',
  ENOSPC: 'no space left on device',
  ENOTDIR: 'a part of the path is not a directory',
  ENXIO: 'no such device',
  EPERM: 'operation not permitted',
  EPIPE: 'the reader of the output is gone',
  EREMOTEIO: 'the remote end of the device failed',
  EROFS: 'the file system is read-only',
  ESTALE: 'the file is gone from its network file system',
  ETXTBSY: 'the file is being executed',
  EXDEV: 'the name leads out of its directory',
};

/** The name of a system error, where `error` is one. */
export function systemErrorName(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined;
  if (/^E[A-Z0-9]+$/.test(error.code)) return error.code;
  // Node has no name for some, and says `Unknown system error -122`.
  return 'errno' in error && typeof error.errno === 'number' && error.errno < 0 ? errnoName(-error.errno) : undefined;
}

/** A sentence for a system error, with its name. */
export function describeSystemError(name: string): string {
  const sentence = SYSTEM_ERRORS[name];
  return sentence === undefined ? `system error ${name}` : `${sentence} (${name})`;
}
