import { basename, extname, isAbsolute, resolve as resolvePath } from 'node:path';
import { existsSync } from 'node:fs';
import { i386, x86_64, type Target } from '../layout/target.js';
import { ExtractError } from './errors.js';
import { firstMessage, run } from './run.js';
import { commandOf, targetOf, type TargetName } from './targets.js';

/** How a compiler of C or C++ is asked. */
export interface CompilerOptions {
  /**
   * `gcc` and `clang` choose the program and the flags for the target; anything else is a program that is used as it is.
   * By default gcc where it is installed for the target, else clang.
   */
  readonly compiler?: string | undefined;
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
  /** More flags, as the compiler takes them (`-include FILE`, `-fpack-struct`, `-std=c99`). */
  readonly flags?: readonly string[] | undefined;
  /** By default C++ for a header that is named so (`.hpp`, `.hh`, `.hxx`, `.H`), a compiler of C++, or `-x c++`; else C. */
  readonly language?: 'c' | 'c++' | undefined;
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
  readonly isPlusPlus: boolean;
  /** Whether nothing but the target decides how it lays out. */
  readonly isPlain: boolean;
  /** Flags that make it write debug information that this reader knows. */
  readonly debugFlags: readonly string[];
}

function languageOf({ language, compiler = '', header, flags = [] }: CompilerOptions): 'c' | 'c++' {
  if (language !== undefined) return language;
  const asked = flags.includes('-xc++') || flags.some((flag, index) => flag === '-x' && flags[index + 1] === 'c++');
  const isNamed = /\.(hpp|hh|hxx|h\+\+|H|cpp|cc|cxx|C)$/.test(extname(header));
  return asked || isNamed || /\+\+(-[0-9.]+)?$/.test(basename(compiler)) ? 'c++' : 'c';
}

/** Prepares a compiler for a header. */
export function compilerFor(options: CompilerOptions): Compiler {
  const target = targetOf(options.target);
  const isPlusPlus = languageOf(options) === 'c++';
  const [program, ...flags] = commandOf(options.compiler, target, isPlusPlus);
  const isClang = flags[0]?.startsWith('--target=') === true;
  const isFile = !isAbsolute(options.header) && existsSync(options.header);
  // gcc and clang take @FILE for a file of arguments, and a dash for standard input.
  const missing = /^[@-]/.test(options.header) ? `./${options.header}` : options.header;
  const header = isFile ? resolvePath(options.header) : missing;
  const freestanding = options.freestanding ?? ![x86_64.name, i386.name].includes(target.name);
  const common = [
    ...flags,
    isPlusPlus ? '-std=gnu++17' : '-std=gnu11',
    '-w',
    // Members are asked for whoever may use them.
    ...(isPlusPlus ? ['-fno-access-control'] : []),
    ...(freestanding ? ['-ffreestanding'] : []),
    ...(options.includeDirs ?? []).map((directory) => `-I${directory}`),
    ...Object.entries(options.defines ?? {}).map(([name, value]) => `-D${name}${value === true ? '' : `=${value}`}`),
    ...(options.flags ?? []),
    '-include',
    header,
    '-x',
    isPlusPlus ? 'c++' : 'c',
  ];
  const compile = (source: string, more: readonly string[]) =>
    run(program, [...common, ...more, '-o', '-', '-'], source, options.signal);
  return {
    program,
    target,
    // gcc states bit positions from the start of the struct in DWARF 5 only; clang moves strings to another table there.
    debugFlags: isClang
      ? ['-g', '-gdwarf-4', '-fstandalone-debug']
      : ['-g', '-gdwarf-5', isPlusPlus ? '-femit-class-debug-always' : '-fno-eliminate-unused-debug-types'],
    async assembly(source, more) {
      const { status, stdout, stderr } = await compile(source, ['-S', ...more]);
      if (status === 0) return stdout;
      throw new ExtractError('EXTRACT_COMPILER_FAILED', `${program}: ${firstMessage(stderr)}`);
    },
    isClang,
    isPlusPlus,
    isPlain: (options.flags ?? []).length === 0,
    async complaints(source, more) {
      return (await compile(source, ['-fsyntax-only', ...more])).stderr;
    },
    async accepts(source) {
      return (await compile(source, ['-S'])).status === 0;
    },
  };
}
