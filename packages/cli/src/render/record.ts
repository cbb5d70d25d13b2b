import { toJson, toJsonLine } from './json.js';

/**
 * Version of the records that `--json` prints, the first field of each: raised when a field goes or means something else, not
 * when one comes. What has the shape of another program's JSON (`info`, `map`, `check`, `measure`, `snapshot -l`) is none of them.
 */
export const SCHEMA_VERSION = 1;

/** A record with its version. */
export function versioned(record: object): object {
  return { schemaVersion: SCHEMA_VERSION, ...record };
}

/** A record that stands alone. */
export function recordText(record: object): string {
  return `${toJson(versioned(record))}\n`;
}

/** A record among others: one line. */
export function recordLine(record: object): string {
  return `${toJsonLine(versioned(record))}\n`;
}
