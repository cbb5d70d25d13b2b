/** Formats described in Kaitai's language, in the layout language and back. */
export { importKsy } from './import.js';
export type { KaitaiImport } from './import.js';
