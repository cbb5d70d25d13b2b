import { aarch64, i386, s390x, x86_64, type Target } from '@instar/layout';
import { ExtractError, extractFile, type ExtractedField, type ExtractedType } from '@instar/layout/extract';
import { VmcoreError } from '../errors.js';
import type { Dump } from '../read/dump.js';
import { lookUpSymbols } from './kallsyms.js';
import { checkKernel, Vmlinux } from './vmlinux.js';

/** Where symbols and types come from. */
export interface DebugInfoOptions {
  /** A kernel's ELF file with symbols and BTF or DWARF. Default: the table of symbols and the BTF in the dump itself. */
  readonly vmlinux?: string | undefined;
}

/** A type as the kernel's compiler laid it out; `layout` is the same for `codec()` of `@instar/layout`. */
export type KernelType = ExtractedType;

/** Most bytes of BTF: kernels have 4 to 10 MiB. */
const MAX_BTF = 64n << 20n;
const TARGETS: Readonly<Record<string, Target>> = { x86_64, i386, aarch64, s390x };

const REMEDY = 'a kernel since 6.0 with BTF, all of whose own memory is in the dump; or its file (--vmlinux FILE)';

/** Symbols and types of a dump's kernel. */
export class DebugInfo {
  readonly #dump: Dump;
  readonly #vmlinux: string | undefined;
  readonly #symbols = new Map<string, bigint | undefined>();
  readonly #types = new Map<string, KernelType>();
  #btf: Promise<Uint8Array | undefined> | undefined;

  constructor(dump: Dump, { vmlinux }: DebugInfoOptions) {
    this.#dump = dump;
    this.#vmlinux = vmlinux;
  }

  /** Addresses of symbols. @throws VmcoreError `UNSUPPORTED` where one is not found */
  async symbols<const N extends readonly string[]>(...names: N): Promise<{ readonly [I in keyof N]: bigint }> {
    const unknown = names.filter((name) => !this.#symbols.has(name));
    if (unknown.length > 0) await this.#lookUp(new Set(unknown));
    return names.map((name) => {
      const found = this.#symbols.get(name);
      if (found !== undefined) return found;
      throw new VmcoreError('UNSUPPORTED', `the symbol ${name} is not found`, {
        file: this.#dump.name,
        expected: this.#vmlinux === undefined ? REMEDY : 'a vmlinux that was not stripped of its symbols',
      });
    }) as { readonly [I in keyof N]: bigint };
  }

  async #lookUp(names: ReadonlySet<string>): Promise<void> {
    const { vmcoreinfo: info } = this.#dump;
    const found = await this.#withVmlinux(async (vmlinux) => {
      if (vmlinux === undefined) return lookUpSymbols(this.#dump, names);
      const moved = info?.kernelOffset ?? 0n;
      return new Map([...(await vmlinux.symbols(names))].map(([name, at]) => [name, at + moved]));
    });
    for (const name of names) this.#symbols.set(name, found?.get(name) ?? info?.symbol(name));
  }

  async #withVmlinux<T>(use: (vmlinux: Vmlinux | undefined) => Promise<T>): Promise<T> {
    if (this.#vmlinux === undefined) return use(undefined);
    const vmlinux = await Vmlinux.open(this.#vmlinux);
    try {
      await checkKernel(this.#dump, vmlinux);
      return await use(vmlinux);
    } finally {
      await vmlinux.close();
    }
  }

  /**
   * A type: `task_struct`, `struct page`, `enum zone_type`, `pid_t`.
   * @throws VmcoreError `UNSUPPORTED` where neither the dump nor the kernel's file has it
   */
  async type(name: string): Promise<KernelType> {
    const known = this.#types.get(name);
    if (known !== undefined) return known;
    const bytes = await (this.#btf ??= this.#findBtf().catch((error: unknown) => {
      this.#btf = undefined;
      throw error;
    }));
    const file =
      bytes === undefined ? (this.#vmlinux ?? this.#dump.name) : `the BTF of ${this.#vmlinux ?? this.#dump.name}`;
    const plain = /^[A-Za-z_]\w*$/.test(name);
    try {
      const target = TARGETS[this.#dump.machine];
      const ask = (types: readonly string[]): KernelType | undefined =>
        extractFile({ file, bytes, types, target }).types[0];
      // What has no keyword is a structure first, as it is for people who look at kernels.
      const found = (plain ? attempt(() => ask([`struct ${name}`])) : undefined) ?? ask([name]);
      if (found === undefined) throw new ExtractError('EXTRACT_UNKNOWN_TYPE', `${name} is not a type`);
      this.#types.set(name, found);
      return found;
    } catch (error) {
      if (!(error instanceof ExtractError)) throw error;
      const code = error.code === 'EXTRACT_REQUEST' ? 'INVALID_ARGUMENT' : 'UNSUPPORTED';
      throw new VmcoreError(code, error.message, { cause: error });
    }
  }

  /** The BTF; undefined where the kernel's file has only DWARF. */
  async #findBtf(): Promise<Uint8Array | undefined> {
    if (this.#vmlinux !== undefined) return this.#withVmlinux(async (vmlinux) => vmlinux?.section('.BTF'));
    const [start, stop] = await this.symbols('__start_BTF', '__stop_BTF');
    const size = stop - start;
    if (size > 0n && size <= MAX_BTF) return this.#dump.readVirtual(start, Number(size));
    throw new VmcoreError('BAD_DUMP', 'the BTF of the kernel cannot be so long', {
      file: this.#dump.name,
      field: '__start_BTF, __stop_BTF',
      found: `${size} bytes`,
      expected: `at most ${MAX_BTF}`,
    });
  }
}

function attempt<T>(ask: () => T): T | undefined {
  try {
    return ask();
  } catch (error) {
    if (error instanceof ExtractError && error.code === 'EXTRACT_UNKNOWN_TYPE') return undefined;
    throw error;
  }
}

/** A field of a type, also of an anonymous structure in it: bytes from the type's start, and its size. */
export function fieldOf(
  type: KernelType,
  name: string,
): { readonly offset: number; readonly size: number } | undefined {
  const search = (
    fields: readonly ExtractedField[] | undefined,
    base: number,
  ): { readonly offset: number; readonly size: number } | undefined => {
    for (const field of fields ?? []) {
      const offset = base + field.bitOffset / 8;
      if (field.name === name) return { offset, size: field.bitWidth / 8 };
      const inner = field.name === null ? search(field.fields, offset) : undefined;
      if (inner !== undefined) return inner;
    }
    return undefined;
  };
  return search(type.fields, 0);
}
