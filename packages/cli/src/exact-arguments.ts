import { nameText } from '@instar/host-files/text';
import { readFileSync } from 'node:fs';

const REPLACED = '\ufffd';
const lossy = new TextDecoder();

/**
 * The words of the command line with names byte for byte: what is no UTF-8 in them, for which node has U+FFFD only, becomes
 * a lone surrogate for each byte, as `@instar/host-files` reads names. Words that cannot be known are left as node has
 * them.
 * @param words of `process.argv`, from its end
 */
export function exactArguments(words: readonly string[]): readonly string[] {
  if (!words.some((word) => word.includes(REPLACED))) return words;
  try {
    const whole = readFileSync('/proc/self/cmdline');
    const stored: Buffer[] = [];
    for (let at = 0, end = whole.indexOf(0); end !== -1; at = end + 1, end = whole.indexOf(0, at)) {
      stored.push(whole.subarray(at, end));
    }
    const last = stored.slice(-words.length);
    const same = last.length === words.length && last.every((bytes, index) => lossy.decode(bytes) === words[index]);
    return same ? last.map(nameText) : words;
  } catch {
    return words;
  }
}
