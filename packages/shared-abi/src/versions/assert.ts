import { ABI_VERSION_MAJOR, ABI_VERSION_MINOR } from '../abi/version.js';

/** The ABI of this package is not one that the caller was written for. */
export class AbiVersionError extends Error {
  override readonly name = 'AbiVersionError';
  readonly code: 'ABI_VERSION' | 'ABI_RANGE';
  readonly found: string;
  readonly expected: string;

  constructor(code: 'ABI_VERSION' | 'ABI_RANGE', message: string, found: string, expected: string) {
    super(message);
    this.code = code;
    this.found = found;
    this.expected = expected;
  }
}

/**
 * For programs that pin the ABI: throws unless this package's ABI is in the range.
 * @param range `1.2` or `^1.2`: major 1, at least minor 2 (minors only append); `1.x`: any of major 1; `=1.2`: exactly that.
 * @throws AbiVersionError `ABI_VERSION` with both versions, `ABI_RANGE` for a range that is none of these.
 */
export function assertAbi(range: string, version = `${ABI_VERSION_MAJOR}.${ABI_VERSION_MINOR}`): void {
  const [, sign = '^', major, minor] = /^([=^]?)([0-9]+)\.([0-9]+|x)$/.exec(range.trim()) ?? [];
  const [, ourMajor, ourMinor] = /^([0-9]+)\.([0-9]+)$/.exec(version) ?? [];
  if (major === undefined || minor === undefined || (sign === '=' && minor === 'x')) {
    throw new AbiVersionError(
      'ABI_RANGE',
      `found the range ${JSON.stringify(range)}, expected 1.2, ^1.2, 1.x or =1.2`,
      range,
      '1.2, ^1.2, 1.x or =1.2',
    );
  }
  const least = minor === 'x' ? 0 : Number(minor);
  const fits = sign === '=' ? Number(ourMinor) === least : Number(ourMinor) >= least;
  if (Number(ourMajor) === Number(major) && fits) return;
  throw new AbiVersionError(
    'ABI_VERSION',
    `found ABI ${version}, expected ${range}; install a version of @instar/shared-abi that has it`,
    version,
    range,
  );
}
