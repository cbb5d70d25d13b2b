import type { BigIntStats } from 'node:fs';
import * as fs from 'node:fs/promises';
import path from 'node:path';
import { EngineError, fileError, systemErrorName } from './errors.js';
import { escapeText } from './escape.js';
import { identity, kindOf } from './file-descriptor.js';
import { createBeside } from './output-beside.js';
import { openInPlace } from './output-in-place.js';
import type { OutputFile, OutputRequest } from './output-request.js';

async function statOrUndefined(file: string): Promise<BigIntStats | undefined> {
  try {
    return await fs.stat(file, { bigint: true });
  } catch (error) {
    if (systemErrorName(error) === 'ENOENT') return undefined;
    throw fileError('WRITE_FAILED', file, 'cannot be written', error);
  }
}

/** Where the bytes go: the target of a symbolic link, which may not exist yet. */
async function finalPath(file: string): Promise<string> {
  let current = path.resolve(file);
  for (let links = 0; links < 40; links += 1) {
    try {
      current = path.resolve(path.dirname(current), await fs.readlink(current));
    } catch {
      // Not a link, or nothing there: this is the name. What is wrong with it shows when it is opened.
      return current;
    }
  }
  throw new EngineError('FILE_NOT_USABLE', 'too many symbolic links', { file });
}

/**
 * Opens an output: beside its final name for files, in place for block devices and `inPlaceAt`.
 * @throws EngineError `SAME_FILE`, `OUTPUT_EXISTS`, `FILE_NOT_USABLE`, `NO_SPACE`, `WRITE_FAILED`; nothing is left then.
 */
export async function createOutput(request: OutputRequest): Promise<OutputFile> {
  const { inputs, noClobber, inPlaceAt } = request;
  const existing = await statOrUndefined(request.path);
  if (existing !== undefined) {
    const same = inputs.find((input) => input.identity === identity(existing));
    if (same !== undefined) {
      throw new EngineError(
        'SAME_FILE',
        `is also an input (${escapeText(same.path)}); writing it would destroy the data`,
        {
          file: request.path,
        },
      );
    }
    if (noClobber) throw new EngineError('OUTPUT_EXISTS', 'exists already', { file: request.path });
    if (!existing.isFile() && !existing.isBlockDevice()) {
      const hint = existing.isFIFO() || existing.isCharacterDevice() ? '; a stream can be written with of=-' : '';
      throw new EngineError('FILE_NOT_USABLE', `is ${kindOf(existing)}, not a file that can be written${hint}`, {
        file: request.path,
      });
    }
  }
  const output = { ...request, existing, target: await finalPath(request.path) };
  return existing?.isBlockDevice() === true || inPlaceAt !== undefined ? openInPlace(output) : createBeside(output);
}
