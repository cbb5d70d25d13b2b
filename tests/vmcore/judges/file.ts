import { limited } from './reading.js';

/** What `file` says of a dump. */
export function describeFile(path: string): string {
  return limited(['file', '-b', path]).stdout.trim();
}
