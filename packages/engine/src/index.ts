/** Disk-image operations on images from strangers: every image is parsed inside a sandbox. */
export { dd } from './dd.js';
export type { DdOptions, DdResult, Endpoint } from './dd-request.js';
export { DumpRequests } from './dump-requests.js';
export type { DumpTarget, WrittenDump } from './dump-target.js';
export type { DumpWriteControl } from './dump-write.js';
export type { OperationControl } from './operation.js';
export { describeSystemError, EngineError, systemErrorName } from './errors.js';
export type { EngineErrorCode, EngineErrorDetails, ErrorLocation } from './errors.js';
export { escapeText, quoteName } from './escape.js';
export { READABLE_FORMATS, WRITABLE_FORMATS } from './formats.js';
export type { GuestLimits } from './guest.js';
export { checkSafety, info, inspect } from './info.js';
export type { Bitmap, ImageDescription, InfoOptions, Inspection, Qcow2Details, Snapshot } from './info.js';
export { IMAGE_DIRECTORY_ONLY, NO_REFERENCES } from './path-policy.js';
export type { PathPolicy } from './path-policy.js';
export type { SafetyCheck, SafetyCheckName, SafetyVerdict } from './safety.js';
export { checkSandboxes } from './sandbox.js';
export type { Sandbox, SandboxChoice, SandboxReport } from './sandbox.js';
