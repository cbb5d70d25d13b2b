/** Files of the host: outputs that appear when they are complete, locks, devices, names that a user gave. */
export {
  closeFile,
  closeRead,
  fsync,
  ftruncate,
  identity,
  kindInWords,
  kindOf,
  openFile,
  statFile,
  statName,
  type FileKind,
} from './descriptors.js';
export { HostFileError, hostFileError, reasonOf, type HostFileErrorCode } from './errors.js';
export { openEdited, type EditedFile } from './edited-file.js';
export { escapeText, quoteName } from './escape.js';
export { lockInput, lockOutput } from './locks.js';
export { createNamelessFile } from './nameless-file.js';
export { directoryOf, leafOf, nameBytes, nameText } from './names.js';
export { createOutput } from './output.js';
export type { OutputFile, OutputRequest } from './output-request.js';
export { openReference, type OpenedReference, type ReferenceAccess } from './reference.js';
export type { AllowedDirectory } from './allowed-directories.js';
export { ownStream } from './resolve.js';
export { describeSystemError, systemErrorName } from './system-errors.js';
export { settleForReading, type OpenSecond, type SecondFile } from './undo-log.js';
