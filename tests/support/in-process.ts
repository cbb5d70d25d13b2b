import { EngineError, IMAGE_DIRECTORY_ONLY, NO_REFERENCES, dd, type DdResult, type Sandbox } from '@instar/engine';
import { OperandError, parseDd } from '@instar/operands';
import { resolve } from 'node:path';
import type { Workdir } from './workdir.js';

/** What became of an `instar dd` that ran inside the test process. */
export interface Ran {
  /** The exit code that the command would have had. */
  readonly status: number;
  readonly warnings: readonly string[];
  readonly result: DdResult | undefined;
  readonly error: EngineError | OperandError | undefined;
}

/**
 * `instar dd` without the start of a process, for tests that are about bytes: hundreds of them in the time of tens.
 * Paths are taken from `directory`, whose files an image may name.
 */
export async function ddInProcess(directory: Workdir, tokens: readonly string[], sandbox: Sandbox): Promise<Ran> {
  const warnings: string[] = [];
  try {
    const operands = parseDd(tokens);
    if (operands.kind === 'help') throw new Error('--help is a matter of the command');
    const result = await dd(
      {
        input: { path: resolve(directory.path, operands.if) },
        output: { path: resolve(directory.path, operands.of) },
        // Its files are the test's own, raw ones of odd sizes too.
        pathPolicy: operands.backing
          ? { ...IMAGE_DIRECTORY_ONLY, allowedDirectories: [directory.path, ...operands.allowPaths] }
          : NO_REFERENCES,
        inputFormat: operands.inputFormat,
        outputFormat: operands.outputFormat,
        blockSize: operands.bs,
        count: operands.count,
        skip: operands.skip,
        seek: operands.seek,
        inputSize: operands.isize,
        outputSize: operands.osize,
        sparse: operands.conv.sparse,
        noClobber: operands.noClobber,
        forceShare: operands.forceShare,
      },
      { sandbox, onWarning: (warning) => warnings.push(warning) },
    );
    return { status: 0, warnings, result, error: undefined };
  } catch (error) {
    if (!(error instanceof EngineError) && !(error instanceof OperandError)) throw error;
    return { status: 1, warnings, result: undefined, error };
  }
}
