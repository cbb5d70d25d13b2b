import { EngineError } from './errors.js';
import type { GuestLimits } from './session/context.js';

/**
 * Refuses an image that claims more than the caller allows.
 * @param size virtual size (bytes)
 * @throws EngineError `LIMIT_EXCEEDED`
 */
export function requireVirtualSize(size: bigint, { maxVirtualSize }: GuestLimits, file: string): void {
  if (maxVirtualSize === undefined || size <= BigInt(maxVirtualSize)) return;
  throw new EngineError(
    'LIMIT_EXCEEDED',
    `has a virtual size of ${size} bytes, more than the ${maxVirtualSize} that are allowed; raise maxVirtualSize ` +
      '(--limit-virtual-size) if you trust it',
    { file, limit: 'maxVirtualSize' },
  );
}

/** What a packed file may unpack to where the caller sets no limit (bytes): 2 TiB. A few megabytes can stand for more. */
const MOST_UNPACKED = 1n << 41n;

/** What a packed file may unpack to (bytes). */
export function mostUnpacked({ maxVirtualSize }: GuestLimits): bigint {
  return maxVirtualSize === undefined ? MOST_UNPACKED : BigInt(maxVirtualSize);
}

/**
 * Refuses an output that is, or may come to be, longer than the caller allows.
 * @param length bytes, in the worst case where the length shows only in the end
 * @throws EngineError `LIMIT_EXCEEDED`
 */
export function requireOutputSize(length: bigint, { maxOutputSize }: GuestLimits, file: string): void {
  if (maxOutputSize === undefined || length <= BigInt(maxOutputSize)) return;
  throw new EngineError(
    'LIMIT_EXCEEDED',
    `could come to ${length} bytes, more than the ${maxOutputSize} that are allowed; raise maxOutputSize ` +
      '(--limit-output-size)',
    { file, limit: 'maxOutputSize' },
  );
}
