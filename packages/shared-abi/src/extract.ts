/** The old name of `@instar/layout/extract`, for one minor version. Deprecated: import that instead. */
export * from '@instar/layout/extract';
