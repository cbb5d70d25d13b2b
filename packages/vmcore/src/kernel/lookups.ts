import { check } from '../options/calls.js';
import type { Dump, ReadOptions } from '../read/dump.js';
import { DebugInfo, type DebugInfoOptions } from './debug-info.js';
import { kernelView } from './kernel-view.js';
import type { TranslateOptions, Translation } from './page-walk.js';
import { VirtualMemory } from './virtual-memory.js';

/** The calls of a dump that need to know its kernel. Page tables, symbols and types are found once. */
export function kernelLookups(dump: () => Dump): Pick<Dump, 'translate' | 'readVirtual' | 'symbol' | 'type'> {
  let kernel: Promise<VirtualMemory> | undefined;
  const infos = new Map<string | undefined, DebugInfo>();
  const memoryOf = async ({ pgd }: TranslateOptions): Promise<VirtualMemory> => {
    if (pgd !== undefined) return VirtualMemory.of(kernelView(dump()), { pgd });
    // What could not be read now may be read later.
    kernel ??= VirtualMemory.of(kernelView(dump())).catch((error: unknown) => {
      kernel = undefined;
      throw error;
    });
    return kernel;
  };
  const infoOf = ({ vmlinux }: DebugInfoOptions): DebugInfo => {
    const known = infos.get(vmlinux) ?? new DebugInfo(kernelView(dump()), { vmlinux });
    infos.set(vmlinux, known);
    return known;
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
    async symbol(name, options = {}) {
      const [found] = await infoOf(check.symbol(name, options)).symbols(name);
      return found;
    },
    async type(name, options = {}) {
      return infoOf(check.symbol(name, options)).type(name);
    },
  };
}
