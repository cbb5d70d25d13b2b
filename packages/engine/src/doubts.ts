import { IMAGE_FORMAT } from '@instar/shared-abi';
import type { ImageInfo } from './session/look.js';
import { contentOf } from './content.js';
import { EngineError } from './errors.js';
import { escapeText } from '@instar/host-files';
import type { InputFile } from './input-file.js';
import { beyondFile } from './safety.js';

/**
 * What a user should know of an image whose content is used: that a part of it is missing, which reads as zeros, or that
 * somebody forgot to unpack it.
 * @param declared somebody said what the image is
 * @throws EngineError `IMAGE_TRUNCATED` where `strict`, for an image that is not whole
 */
export function doubtsOf(file: InputFile, info: ImageInfo, declared: boolean, strict: boolean): readonly string[] {
  const doubts: string[] = [];
  const beyond = beyondFile(info, file.size);
  if (beyond !== undefined) {
    if (strict) throw new EngineError('IMAGE_TRUNCATED', beyond, { file: file.path });
    doubts.push(`${escapeText(file.path)}: ${beyond}; what is missing reads as zeros`);
  }
  const content = contentOf(info.content);
  if (content.packed && !declared && info.format === IMAGE_FORMAT.values.RAW) {
    const first = content.unpack === undefined ? 'unpack it first' : `unpack it first (${content.unpack})`;
    const text = `is ${content.text}, and taken for a raw disk as it is; ${first}, or say so with -f raw`;
    doubts.push(`${escapeText(file.path)}: ${text}`);
  }
  return doubts;
}
