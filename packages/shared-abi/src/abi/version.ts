/** Major version of the ABI: raised when anything moves, narrows or goes. */
export const ABI_VERSION_MAJOR = 1;
/** Minor version of the ABI: raised when something is appended. */
export const ABI_VERSION_MINOR = 17;
/** Bytes in an ABI fingerprint (SHA-256 over the canonical JSON of the ABI). */
export const FINGERPRINT_SIZE = 32;
