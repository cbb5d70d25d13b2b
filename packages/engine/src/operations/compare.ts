import { nameOf } from '@instar/layout';
import {
  COMPARE_FLAG,
  COMPARE_RESULT_MAGIC,
  COMPARISON,
  CompareConfig,
  CompareResult,
  DEVICE_ROLE,
} from '@instar/shared-abi';
import { guestContext, type OperationControl } from '../operation.js';
import { checkControl } from '../options/control.js';
import { checkCompareOptions, checkFileName } from '../options/operations.js';
import type { PathPolicy } from '../path-policy.js';
import { perform } from '../session/operation.js';
import { impossibleResult } from '../session/outcome.js';
import { GuestSession } from '../session/session.js';
import { openForReading } from './reading.js';

/** How two images are compared. */
export interface CompareOptions {
  /** Format of the first image, forced instead of a probe. */
  readonly firstFormat?: string | undefined;
  /** Format of the second image, forced instead of a probe. */
  readonly secondFormat?: string | undefined;
  /** Which files the images may draw in (default: those of their own directories). */
  readonly pathPolicy?: PathPolicy | undefined;
  /** Read images that another process has locked. */
  readonly forceShare?: boolean | undefined;
  /** Sizes and allocation must be the same as well. */
  readonly strict?: boolean | undefined;
}

/** What a comparison found. */
export interface Comparison {
  /** Whether the disks hold the same; a longer one may end in zeros, unless `strict`. */
  readonly identical: boolean;
  /** What differs first: bytes, or under `strict` which ranges are allocated, or the size. */
  readonly difference: 'content' | 'allocation' | 'size' | undefined;
  /** First sector that differs (virtual byte offset), of a difference in content or allocation. */
  readonly offset: bigint | undefined;
  /** Whether the disks have different sizes. */
  readonly sizesDiffer: boolean;
  /** Bytes of the smaller disk. */
  readonly commonSize: bigint;
}

const DIFFERENCES = { CONTENT: 'content', ALLOCATION: 'allocation', SIZE: 'size' } as const;

/**
 * Compares the disks in two images, of any formats, as `qemu-img compare` does. Both are parsed and read inside one sandbox.
 * @throws EngineError
 */
export async function compare(
  first: string,
  second: string,
  givenOptions: CompareOptions = {},
  givenControl: OperationControl = {},
): Promise<Comparison> {
  checkFileName(first);
  checkFileName(second);
  const options = checkCompareOptions(givenOptions);
  const control = checkControl(givenControl);
  const session = new GuestSession(guestContext(control));
  const { pathPolicy, forceShare } = options;
  const one = await openForReading(first, { pathPolicy, forceShare, format: options.firstFormat }, session);
  try {
    const { COMPARED } = DEVICE_ROLE.values;
    const other = { pathPolicy, forceShare, format: options.secondFormat };
    const two = await openForReading(second, other, session, COMPARED);
    try {
      const result = await perform(session, {
        config: CompareConfig.encode({ flags: options.strict === true ? COMPARE_FLAG.values.STRICT : 0 }),
        result: CompareResult,
        magic: COMPARE_RESULT_MAGIC,
        subject: first,
        last: true,
        onProgress: control.onProgress,
      });
      const kind = nameOf(COMPARISON, result.comparison);
      if (kind === undefined || kind === 'NONE' || result.larger > 2) throw impossibleResult(first);
      const difference = kind === 'EQUAL' ? undefined : DIFFERENCES[kind];
      return {
        identical: difference === undefined,
        difference,
        offset: difference === undefined || difference === 'size' ? undefined : result.offset,
        sizesDiffer: result.larger !== 0,
        commonSize: result.common_size,
      };
    } finally {
      await two.close();
    }
  } finally {
    await one.close();
  }
}
