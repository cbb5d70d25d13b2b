import { errnoName } from '@instar/vmm-native';
import { getSystemErrorMap } from 'node:util';

/** What went wrong with a file, without its name: `no such file or directory (ENOENT)`. */
export function systemErrorText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const number = 'errno' in error && typeof error.errno === 'number' ? error.errno : 0;
  const known = getSystemErrorMap().get(number);
  if (known === undefined && number < 0) return `system error ${errnoName(-number)}`;
  return known === undefined ? (error.message.split('\n')[0] ?? '') : `${known[1]} (${known[0]})`;
}
