/** How many results may wait for their turn, for each that is being worked on. */
const AHEAD = 4;

/**
 * Works on many things, a few at a time, and yields the results in the order of the things. No more than a few are begun
 * before the caller takes what is there, and all that was begun has ended when this ends. Where the things end with a failure, that is
 * thrown behind the results of those before it.
 * @param concurrency how many are worked on at a time
 */
export async function* inTurn<T, R>(
  things: Iterable<T> | AsyncIterable<T>,
  concurrency: number,
  work: (thing: T) => Promise<R>,
): AsyncGenerator<R> {
  const begun: Promise<R>[] = [];
  let running = 0;
  const waiting: (() => void)[] = [];
  const oneByOne = async (thing: T): Promise<R> => {
    if (running >= concurrency) await new Promise<void>((resolve) => waiting.push(resolve));
    else running += 1;
    try {
      return await work(thing);
    } finally {
      // Whoever waits takes the place over.
      const next = waiting.shift();
      if (next === undefined) running -= 1;
      else next();
    }
  };
  const failures: Error[] = [];
  const all = upToFailure(things, failures);
  try {
    for await (const thing of all) {
      const result = oneByOne(thing);
      // It is told when its turn comes.
      result.catch(() => undefined);
      begun.push(result);
      const first = begun.length >= concurrency * AHEAD ? begun.shift() : undefined;
      if (first !== undefined) yield await first;
    }
    for (let first = begun.shift(); first !== undefined; first = begun.shift()) yield await first;
    for (const failure of failures) throw failure;
  } finally {
    await Promise.allSettled(begun);
  }
}

/** Some things, up to the failure with which they may end; `failures` gets it. */
async function* upToFailure<T>(things: Iterable<T> | AsyncIterable<T>, failures: Error[]): AsyncGenerator<T> {
  try {
    yield* things;
  } catch (error) {
    failures.push(error instanceof Error ? error : new Error(String(error)));
  }
}
