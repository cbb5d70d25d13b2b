import { EngineError } from '@instar/engine';

/** What the library calls options, in words of the command. */
const WORDS: Readonly<Record<string, string>> = {
  clusterSize: '-o cluster_size',
  compressionType: '-o compression_type',
  refcountBits: '-o refcount_bits',
  tableSize: '-o table_size',
  backing: '-b',
  dataFile: '-o data_file',
  dataFileRaw: '-o data_file_raw',
  lazyRefcounts: '-o lazy_refcounts',
  extendedL2: '-o extended_l2',
  blockSize: '-o block_size',
  zeroedGrains: '-o zeroed_grain',
  sparseSize: '-S',
  existing: '-n',
  checkBacking: '-u',
  targetIsZero: '--target-is-zero',
  compressLevel: '--compress-level',
  compress: '-c',
};

/** Runs an operation of the library, whose errors about options name those of the command. */
export async function inWordsOfCommand<T>(operation: () => Promise<T>): Promise<T> {
  try {
    return await operation();
  } catch (error) {
    if (!(error instanceof EngineError) || error.code !== 'INVALID_OPTION') throw error;
    const [name = ''] = /^[A-Za-z0-9]+/.exec(error.message) ?? [];
    const word = Object.entries(WORDS).find(([known]) => known === name)?.[1];
    throw word === undefined ? error : new EngineError(error.code, `${word}${error.message.slice(name.length)}`);
  }
}
