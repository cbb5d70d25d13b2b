/** Interfaces as they were: read back from canonical JSON, and compared. */
export { declareCompatible, diffInterfaces } from './diff.js';
export type { Change, ChangeKind, ChangeLevel, InterfaceDiff } from './diff.js';
export { parseInterface } from './parse.js';
