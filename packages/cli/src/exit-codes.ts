/** Exit codes of the `instar` command; the table in docs/exit-codes.md is checked against this. */
export const EXIT_CODES = {
  /** Done; also where a warning was given. */
  OK: 0,
  /** Usage error, refused image, failed operation: as qemu-img. */
  FAILURE: 1,
  /** `compare`: the images cannot be opened, or what was found cannot be told. 1 says that they differ. */
  NOT_COMPARED: 2,
  /** `info --require-safe`: the image is not safe. */
  NOT_SAFE: 3,
  /** SIGHUP. */
  HANGUP: 129,
  /** SIGINT (Ctrl-C). */
  INTERRUPTED: 130,
  /** SIGPIPE: who reads the output went away. */
  LOST_READER: 141,
  /** SIGTERM. */
  TERMINATED: 143,
} as const;
