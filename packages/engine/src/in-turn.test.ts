import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { inTurn } from './in-turn.js';

async function all<T>(things: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const thing of things) found.push(thing);
  return found;
}

describe('inTurn', () => {
  it('keeps the order, however long each takes, and works on no more than it may', async () => {
    let [running, most] = [0, 0];
    const waits = Array.from({ length: 40 }, (_, index) => (index * 7) % 5);
    const done = await all(
      inTurn(waits.entries(), 3, async ([index, wait]) => {
        running += 1;
        most = Math.max(most, running);
        await sleep(wait);
        running -= 1;
        return index;
      }),
    );
    expect(done).toEqual([...waits.keys()]);
    expect(most).toBe(3);
  });

  it('begins only a few before the first is taken', async () => {
    let begun = 0;
    const endless = (function* () {
      for (;;) yield (begun += 1);
    })();
    const results = inTurn(endless, 2, async (value) => Promise.resolve(value));
    expect((await results.next()).value).toBe(1);
    await sleep(10);
    expect(begun).toBeLessThanOrEqual(2 * 4);
    await results.return(undefined);
  });

  it('tells a failure in its turn, and ends when all that was begun has ended', async () => {
    let running = 0;
    const results = inTurn([1, 2, 3, 4], 4, async (value) => {
      running += 1;
      await sleep(value * 5);
      running -= 1;
      if (value === 2) throw new RangeError('two');
      return value;
    });
    expect((await results.next()).value).toBe(1);
    await expect(results.next()).rejects.toThrow('two');
    expect(running).toBe(0);
  });

  it('tells that the things failed behind the results of those before, and works on each', async () => {
    const found: number[] = [];
    const failing = (function* () {
      yield* [1, 2, 3];
      throw new RangeError('no list');
    })();
    const results = inTurn(failing, 2, async (value) => Promise.resolve(value));
    const take = async (): Promise<void> => {
      for await (const value of results) found.push(value);
    };
    await expect(take()).rejects.toThrow('no list');
    expect(found).toEqual([1, 2, 3]);
  });
});
