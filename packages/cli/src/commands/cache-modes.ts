/** Cache modes of qemu-img, which scripts give: files are read through the page cache whatever they say, and an output is always synced. */
export const CACHE_MODES = ['none', 'off', 'writeback', 'writethrough', 'directsync', 'unsafe'] as const;
