import { INFO_FLAG, INFO_RESULT_MAGIC, InfoConfig } from '@instar/shared-abi';
import { EngineError } from '../errors.js';
import { isPlausible } from '../info-plausible.js';
import { mostUnpacked } from '../size-limits.js';
import { decodeInfo, prepareToDecodeInfo, type ImageInfo } from './decode-info.js';
import { decodeResult } from './operation.js';
import { impossibleResult } from './outcome.js';
import type { GuestSession } from './session.js';

export type { ImageInfo };

/**
 * Asks the guest what the image on a device is.
 * @param last no other request follows
 * @param most most bytes that a packed file may unpack to
 * @param factsOnly tables are not looked at, for what points outside the file: who edits the image does that where it matters
 * @throws EngineError
 */
export async function look(
  session: GuestSession,
  device: number,
  last = false,
  most: bigint = mostUnpacked(session.context.limits),
  factsOnly = false,
): Promise<ImageInfo> {
  const { path: subject, entry } = session.devices[device] ?? { path: '', entry: undefined };
  const config = InfoConfig.encode({ device, most_unpacked: most === 0n ? 1n : most, facts_only: factsOnly ? 1 : 0 });
  const ask = async (): Promise<ImageInfo> => {
    const asked = session.request({ config, subject, last });
    prepareToDecodeInfo();
    return decodeResult({ result: { decode: decodeInfo }, magic: INFO_RESULT_MAGIC, subject }, await asked, session);
  };
  const info = await ask().catch(async (error: unknown) => {
    const needs = error instanceof EngineError && error.code === 'IMAGE_NEEDS_MEMORY';
    // A look writes nothing, so that it can be had twice.
    if (!needs || !(await session.giveMemory())) throw error;
    return ask();
  });
  if (entry === undefined || !isPlausible(info, entry.format)) throw impossibleResult(subject);
  // Before anything is written: no request is made twice.
  if (!last && (info.flags & INFO_FLAG.values.MORE_MEMORY) !== 0) await session.giveMemory();
  return info;
}
