/** The old name of `@instar/layout`, for one minor version. Deprecated: import that instead. */
export * from '@instar/layout';
