import { readFileSync } from 'node:fs';
import { convertGuestPath, convertGuestSymbolsPath, sandboxHelperPath } from '@instar/convert-guest';
import type { Workdir } from '../support/workdir.js';

/** An instruction that no processor has: `ud2`. */
const UNDEFINED_INSTRUCTION = Buffer.from([0x0f, 0x0b]);
/** Places in the header of an ELF file for 64 bits, and in its program headers (gABI, chapters 4 and 5). */
const [ENTRY, TABLE, ENTRY_SIZE, ENTRIES] = [24, 32, 54, 56] as const;
const [SEGMENT_OFFSET, SEGMENT_ADDRESS, SEGMENT_SIZE] = [8, 16, 32] as const;
/** Bytes by which the entry is found in the image. */
const SAMPLE = 64;

/** The first bytes that a guest runs. */
function firstInstructions(): Buffer {
  const elf = readFileSync(convertGuestSymbolsPath());
  const [entry, table] = [elf.readBigUInt64LE(ENTRY), Number(elf.readBigUInt64LE(TABLE))];
  for (let index = 0; index < elf.readUInt16LE(ENTRIES); index += 1) {
    const header = elf.subarray(table + index * elf.readUInt16LE(ENTRY_SIZE));
    const distance = entry - header.readBigUInt64LE(SEGMENT_ADDRESS);
    if (distance < 0n || distance >= header.readBigUInt64LE(SEGMENT_SIZE)) continue;
    const start = Number(header.readBigUInt64LE(SEGMENT_OFFSET) + distance);
    return elf.subarray(start, start + SAMPLE);
  }
  throw new Error('the guest has no entry');
}

/**
 * Lays a guest into a directory that crashes as soon as it runs, and returns the options by which node takes it for the one of
 * the package.
 */
export function crashingGuest(directory: Workdir): string {
  const image = readFileSync(convertGuestPath());
  const at = image.indexOf(firstInstructions());
  if (at < 0) throw new Error('the guest image has no entry');
  UNDEFINED_INSTRUCTION.copy(image, at);
  const paths = { convertGuestPath: directory.file('crashes.img'), sandboxHelperPath: sandboxHelperPath() };
  const functions = Object.entries({ ...paths, convertGuestSymbolsPath: convertGuestSymbolsPath() });
  directory.write('crashes.img', image);
  const source = functions.map(([name, path]) => `  ${name}: () => ${JSON.stringify(path)},\n`).join('');
  directory.write(
    'register.cjs',
    "const Module = require('node:module');\nconst { _load: load } = Module;\n" +
      `const guest = {\n${source}};\n` +
      "Module._load = (name, ...rest) => name === '@instar/convert-guest' ? guest : load(name, ...rest);\n",
  );
  return `--require=${directory.file('register.cjs')}`;
}
