import { basename, isAbsolute, resolve as resolvePath } from 'node:path';
import { existsSync } from 'node:fs';
import { i386, TARGETS, x86_64, type Target } from '../layout/target.js';
import { ExtractError } from './errors.js';
import { firstMessage, run } from './run.js';

/** A target by name: `m64` and `m32` as compilers spell x86-64 and i386. */
export type TargetName = 'm64' | 'm32' | 'x86_64' | 'i386' | 'aarch64' | 'aarch64_be' | 's390x';

/** How a C compiler is asked. */
export interface CompilerOptions {
  /** `gcc` and `clang` choose the program and the flags for the target; anything else is a program that is used as it is. */
  readonly compiler: string;
  readonly target: TargetName | Target;
  /** A header: a file, or a name that the compiler finds (`elf.h`). */
  readonly header: string;
  readonly includeDirs?: readonly string[] | undefined;
  /** Macros: `{ NAME: 'value', FLAG: true }`. */
  readonly defines?: Readonly<Record<string, string | number | true>> | undefined;
  /**
   * Whether to use the compiler's own freestanding headers. By default for targets other than x86: the C library's
   * headers that are found may belong to this machine, and would then say wrong widths.
   */
  readonly freestanding?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A compiler that is ready to be asked. */
export interface Compiler {
  readonly program: string;
  readonly target: Target;
  /**
   * Compiles C to assembly; nothing is linked, nothing is run.
   * @throws ExtractError `EXTRACT_COMPILER_FAILED`, `EXTRACT_COMPILER_MISSING`, `EXTRACT_ABORTED`.
   */
  readonly assembly: (source: string, flags: readonly string[]) => Promise<string>;
  /** Whether the compiler accepts a source. */
  readonly accepts: (source: string) => Promise<boolean>;
  /** What the compiler says of a source that it need not accept. */
  readonly complaints: (source: string, flags: readonly string[]) => Promise<string>;
  readonly isClang: boolean;
  /** Flags that make it write debug information that this reader knows. */
  readonly debugFlags: readonly string[];
}

const GCC: Readonly<Record<string, readonly [program: string, ...flags: string[]]>> = {
  x86_64: [process.arch === 'x64' ? 'gcc' : 'x86_64-linux-gnu-gcc', '-m64'],
  i386: [process.arch === 'x64' ? 'gcc' : 'i686-linux-gnu-gcc', '-m32'],
  aarch64: [process.arch === 'arm64' ? 'gcc' : 'aarch64-linux-gnu-gcc', '-mlittle-endian'],
  aarch64_be: ['aarch64-linux-gnu-gcc', '-mbig-endian'],
  s390x: [process.arch === 's390x' ? 'gcc' : 's390x-linux-gnu-gcc', '-m64'],
};

/**
 * The target that a name stands for.
 * @throws ExtractError `EXTRACT_REQUEST`.
 */
export function targetOf(wanted: TargetName | Target): Target {
  if (typeof wanted !== 'string') return wanted;
  if (wanted === 'm64') return x86_64;
  if (wanted === 'm32') return i386;
  const found = TARGETS.find((item) => item.name === wanted);
  if (found !== undefined) return found;
  const names = ['m64', 'm32', ...TARGETS.map((item) => item.name)].join(', ');
  throw new ExtractError('EXTRACT_REQUEST', `found the target ${wanted}, expected one of ${names}`);
}

function commandOf(compiler: string, target: Target): readonly [program: string, ...flags: string[]] {
  if (compiler === 'clang' || /clang(-[0-9.]+)?$/.test(basename(compiler))) {
    return [compiler, `--target=${target.name}-linux-gnu`];
  }
  const known = GCC[target.name];
  if (compiler !== 'gcc') return [compiler, ...(known?.slice(1) ?? [])];
  if (known !== undefined) return known;
  throw new ExtractError('EXTRACT_REQUEST', `no gcc is known for the target ${target.name}: name its program`);
}

/** Prepares a compiler for a header. */
export function compilerFor(options: CompilerOptions): Compiler {
  const target = targetOf(options.target);
  const [program, ...flags] = commandOf(options.compiler, target);
  const isClang = flags[0]?.startsWith('--target=') === true;
  const isFile = !isAbsolute(options.header) && existsSync(options.header);
  // gcc and clang take @FILE for a file of arguments, and a dash for standard input.
  const missing = /^[@-]/.test(options.header) ? `./${options.header}` : options.header;
  const header = isFile ? resolvePath(options.header) : missing;
  const freestanding = options.freestanding ?? ![x86_64.name, i386.name].includes(target.name);
  const common = [
    ...flags,
    '-std=gnu11',
    '-w',
    ...(freestanding ? ['-ffreestanding'] : []),
    ...(options.includeDirs ?? []).map((directory) => `-I${directory}`),
    ...Object.entries(options.defines ?? {}).map(([name, value]) => `-D${name}${value === true ? '' : `=${value}`}`),
    '-include',
    header,
    '-x',
    'c',
  ];
  const compile = (source: string, more: readonly string[]) =>
    run(program, [...common, ...more, '-o', '-', '-'], source, options.signal);
  return {
    program,
    target,
    // gcc states bit positions from the start of the struct in DWARF 5 only; clang moves strings to another table there.
    debugFlags: isClang ? ['-g', '-gdwarf-4'] : ['-g', '-gdwarf-5', '-fno-eliminate-unused-debug-types'],
    async assembly(source, more) {
      const { status, stdout, stderr } = await compile(source, ['-S', ...more]);
      if (status === 0) return stdout;
      throw new ExtractError('EXTRACT_COMPILER_FAILED', `${program}: ${firstMessage(stderr)}`);
    },
    isClang,
    async complaints(source, more) {
      return (await compile(source, ['-fsyntax-only', ...more])).stderr;
    },
    async accepts(source) {
      return (await compile(source, ['-S'])).status === 0;
    },
  };
}
