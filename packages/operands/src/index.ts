export { CONVERSIONS as CONVERSION_WORDS } from './coreutils-words.js';
export { parseDuration } from './duration.js';
export { OperandError, type OperandErrorCode, type TokenPosition, type TokenReference } from './errors.js';
export { MAX_SIZE, parseSize } from './size.js';
export {
  OUTPUT_FORMATS,
  SANDBOX_MODES,
  STATUS_MODES,
  parseDd,
  type DdHelp,
  type DdLimits,
  type DdOperands,
  type OutputFormat,
  type SandboxMode,
  type StatusMode,
} from './dd-operands.js';
export {
  DD_DEFAULT_BLOCK_SIZE,
  DD_MAX_BLOCK_SIZE,
  SECTOR_SIZE,
  ddWindow,
  roundUpToSector,
  type DdWindow,
  type DdWindowRequest,
} from './window.js';
