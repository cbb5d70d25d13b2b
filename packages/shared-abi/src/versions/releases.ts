import type { Interface } from '../emit/emitter.js';
import { RELEASES } from '../generated/releases.js';
import { parseInterface } from './parse.js';

/** Every released version of the ABI, as it was released; without prose. Apart from the rest because of its size. */
export function releasedInterfaces(): Interface[] {
  return RELEASES.map((text) => parseInterface(JSON.parse(text)));
}
