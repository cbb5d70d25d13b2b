import { check } from '../options/calls.js';
import type { Dump, ReadOptions } from '../read/dump.js';
import type { TranslateOptions, Translation } from './page-walk.js';
import { VirtualMemory } from './virtual-memory.js';

/** The calls of a dump that take virtual addresses. The kernel's page tables are found once. */
export function virtualLookups(dump: () => Dump): Pick<Dump, 'translate' | 'readVirtual'> {
  let kernel: Promise<VirtualMemory> | undefined;
  const memoryOf = async ({ pgd }: TranslateOptions): Promise<VirtualMemory> => {
    if (pgd !== undefined) return VirtualMemory.of(dump(), { pgd });
    // What could not be read now may be read later.
    kernel ??= VirtualMemory.of(dump()).catch((error: unknown) => {
      kernel = undefined;
      throw error;
    });
    return kernel;
  };
  return {
    async translate(address: bigint, options: TranslateOptions = {}): Promise<Translation> {
      const { pgd } = check.virtual(address, 0, options);
      return (await memoryOf({ pgd })).translate(address);
    },
    async readVirtual(address: bigint, length: number, options: ReadOptions & TranslateOptions = {}) {
      const { pgd, excluded } = check.virtual(address, length, options);
      return (await memoryOf({ pgd })).read(address, length, { excluded });
    },
  };
}
