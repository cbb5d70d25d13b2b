/** The old name of `@instar/layout/kaitai`, for one minor version. Deprecated: import that instead. */
export * from '@instar/layout/kaitai';
