/** What the C library says of errors that files have. */
export const SYSTEM_ERRORS = {
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
} as const;

/** What it says of an error, by its name; undefined of another. */
export function systemErrorText(name: string): string | undefined {
  return Object.entries(SYSTEM_ERRORS).find(([known]) => known === name)?.[1];
}
