import type { Endian } from '@instar/layout';
import { VmcoreError } from '../errors.js';
import { Nhdr } from '../structures/elf.js';
import { dumpTarget, structureCodec } from '../structures/targets.js';

/** A note of a dump (gABI, "Note Section"). */
export interface Note {
  /** Without its NUL. Each byte is a character; it may be anything. */
  readonly name: string;
  readonly type: number;
  readonly descriptor: Uint8Array;
}

/** Note in which an ELF file says what makedumpfile erased from it; a kdump has an area for that. */
export const ERASEINFO_NOTE = 'ERASEINFO';
/** Most bytes of notes in a dump; a CPU has some 1,000 to 3,000. */
export const MAX_NOTE_BYTES = 8 << 20;
const HEADER_SIZE = 12;
/** Notes that are taken apart; each takes some 300 bytes besides its own, and registers some 2,000. */
const MAX_NOTES = 1 << 15;
/** Bytes of a note's name; those that exist have up to 12. */
const MAX_NAME = 256;

const padded = (length: number): number => (length + 3) & ~3;

/** What a text of Latin-1 bytes is encoded as. */
export function latin1Bytes(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0) & 0xff);
}

/** Where notes come from, for messages. */
export interface NotePlace {
  readonly file: string;
  /** Byte offset of the first note in the file. */
  readonly offset: bigint;
}

/**
 * Takes notes apart. Zeros end them, as the rest of a page that was set aside for a CPU's notes.
 * @param notes where they are added; what it holds already counts towards the most notes of a dump
 * @throws VmcoreError `BAD_DUMP` when a note says that it is longer than what is left, `TOO_LARGE`
 */
export function parseNotes(bytes: Uint8Array, endian: Endian, place: NotePlace, notes: Note[] = []): Note[] {
  const codec = structureCodec(Nhdr, dumpTarget(endian, 64));
  let at = 0;
  while (at + HEADER_SIZE <= bytes.length) {
    const { n_namesz: nameSize, n_descsz: descriptorSize, n_type: type } = codec.decode(bytes, at);
    if (nameSize === 0 && descriptorSize === 0 && type === 0) break;
    const nameAt = at + HEADER_SIZE;
    const room = bytes.length - nameAt;
    // The last descriptor need not be padded.
    if (nameSize > room || descriptorSize > room - Math.min(padded(nameSize), room)) {
      throw new VmcoreError('BAD_DUMP', 'a note is longer than its segment', {
        file: place.file,
        field: 'n_namesz, n_descsz',
        offset: place.offset + BigInt(at),
        found: `${nameSize} and ${descriptorSize}`,
        expected: `at most ${room} bytes together`,
      });
    }
    if (nameSize > MAX_NAME) {
      throw new VmcoreError('BAD_DUMP', 'the name of a note is not valid', {
        file: place.file,
        field: 'n_namesz',
        offset: place.offset + BigInt(at),
        found: `${nameSize} bytes`,
        expected: `at most ${MAX_NAME}`,
      });
    }
    if (notes.length === MAX_NOTES) {
      throw new VmcoreError('TOO_LARGE', 'the dump has too many notes', {
        file: place.file,
        offset: place.offset + BigInt(at),
        expected: `at most ${MAX_NOTES}`,
      });
    }
    const descriptorAt = nameAt + padded(nameSize);
    const name = String.fromCharCode(...bytes.subarray(nameAt, nameAt + nameSize));
    notes.push({
      name: name.endsWith('\0') ? name.slice(0, -1) : name,
      type,
      descriptor: bytes.subarray(descriptorAt, descriptorAt + descriptorSize),
    });
    at = descriptorAt + padded(descriptorSize);
  }
  return notes;
}

/** A note's bytes, and where its descriptor begins among them. */
export interface EncodedNote {
  readonly bytes: Uint8Array;
  readonly descriptorAt: number;
}

/** Encodes a note, padded to 4 bytes. */
export function encodeNote({ name, type, descriptor }: Note, endian: Endian): EncodedNote {
  const codec = structureCodec(Nhdr, dumpTarget(endian, 64));
  const nameBytes = latin1Bytes(`${name}\0`);
  const descriptorAt = HEADER_SIZE + padded(nameBytes.length);
  const bytes = new Uint8Array(descriptorAt + padded(descriptor.length));
  codec.encodeInto(bytes, { n_namesz: nameBytes.length, n_descsz: descriptor.length, n_type: type });
  bytes.set(nameBytes, HEADER_SIZE);
  bytes.set(descriptor, descriptorAt);
  return { bytes, descriptorAt };
}
