/** Names and errors of files as text: what a program needs before it touches a file, without any native code. */
export { escapeText, quoteName } from './escape.js';
export { nameBytes, nameText } from './names.js';
export { describeSystemError, systemErrorName } from './system-errors.js';
