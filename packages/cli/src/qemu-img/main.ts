import { escapeText } from '@instar/host-files/text';
import { EXIT_CODES } from '../exit-codes.js';
import { QEMU_IMG_COMMANDS, qemuImgHelp, qemuImgVersion } from './command-lines.js';
import { QEMU_IMG_VOICE } from './voice.js';
import { standardError, standardOutput } from '../process/standard-streams.js';

export { QEMU_IMG_VOICE };

/** A command to run, or the exit code where everything is said. */
export type QemuImgChoice = { readonly command: keyof typeof QEMU_IMG_COMMANDS } | { readonly exitCode: number };

function isCommand(name: string): name is keyof typeof QEMU_IMG_COMMANDS {
  return Object.hasOwn(QEMU_IMG_COMMANDS, name);
}

/** Which command the first word of a command line of qemu-img is. */
export function qemuImgCommand(name: string | undefined, version: string): QemuImgChoice {
  if (name === '--help' || name === '-h') {
    standardOutput.write(qemuImgHelp(version));
    return { exitCode: EXIT_CODES.OK };
  }
  if (name === '--version' || name === '-V') {
    standardOutput.write(qemuImgVersion(version));
    return { exitCode: EXIT_CODES.OK };
  }
  if (name !== undefined && isCommand(name)) return { command: name };
  const problem = name === undefined ? 'Not enough arguments' : `Command not found: ${escapeText(name)}`;
  standardError.write(`qemu-img: ${problem}\nTry 'qemu-img --help' for more info\n`);
  return { exitCode: EXIT_CODES.FAILURE };
}
