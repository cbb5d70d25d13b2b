import { FINGERPRINT_HEX } from '../generated/fingerprint.js';

/** SHA-256 of the ABI's canonical JSON, as 64 hexadecimal digits. */
export const fingerprintHex: string = FINGERPRINT_HEX;

/** SHA-256 of the ABI's canonical JSON: 32 bytes. A guest image carries the one it was built against. */
export const FINGERPRINT: Uint8Array = Uint8Array.from({ length: FINGERPRINT_HEX.length / 2 }, (_, index) =>
  Number.parseInt(FINGERPRINT_HEX.slice(index * 2, index * 2 + 2), 16),
);
