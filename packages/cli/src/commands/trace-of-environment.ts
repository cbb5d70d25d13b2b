import type { OperationControl } from '@instar/engine';

/** The trace that the environment asks for: the name of a file. */
export function traceOfEnvironment(): Pick<OperationControl, 'trace'> {
  const { INSTAR_TRACE: trace = '' } = process.env;
  return trace === '' ? {} : { trace };
}
