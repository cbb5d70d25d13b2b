import { INFO_RESULT_MAGIC, InfoConfig } from '@instar/shared-abi';
import { isPlausible } from '../info-plausible.js';
import { mostUnpacked } from '../size-limits.js';
import { decodeInfo, type ImageInfo } from './decode-info.js';
import { askedTwice, decodeResult } from './operation.js';
import { impossibleResult } from './outcome.js';
import type { GuestSession } from './session.js';

export type { ImageInfo };

/**
 * Asks the guest what the image on a device is.
 * @param last no other request follows
 * @param most most bytes that a packed file may unpack to
 * @throws EngineError
 */
export async function look(
  session: GuestSession,
  device: number,
  last = false,
  most: bigint = mostUnpacked(session.context.limits),
): Promise<ImageInfo> {
  const { path: subject, entry } = session.devices[device] ?? { path: '', entry: undefined };
  const config = InfoConfig.encode({ device, most_unpacked: most === 0n ? 1n : most });
  const info = await askedTwice(session, async () => {
    const answer = await session.request({ config, subject, last });
    return decodeResult({ result: { decode: decodeInfo }, magic: INFO_RESULT_MAGIC, subject }, answer, session);
  });
  if (entry === undefined || !isPlausible(info, entry.format)) throw impossibleResult(subject);
  return info;
}
