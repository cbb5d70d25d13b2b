/** The block size of dd when `bs=` is absent, in bytes. */
export const DD_DEFAULT_BLOCK_SIZE = 512n;
