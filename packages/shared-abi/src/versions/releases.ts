import type { Interface } from '@instar/layout/emit';
import { RELEASES } from '../generated/releases.js';
import { parseInterface } from '@instar/layout/versions';

/** Every released version of the ABI, as it was released; without prose. Apart from the rest because of its size. */
export function releasedInterfaces(): Interface[] {
  return RELEASES.map((text) => parseInterface(JSON.parse(text)));
}
