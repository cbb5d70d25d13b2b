import { accessSync, constants } from 'node:fs';
import { basename, delimiter, join } from 'node:path';
import { i386, TARGETS, x86_64, type Target } from '../layout/target.js';
import { ExtractError } from './errors.js';

/** A target by name: `m64` and `m32` as compilers spell x86-64 and i386. */
export type TargetName =
  | 'm64'
  | 'm32'
  | 'x86_64'
  | 'i386'
  | 'aarch64'
  | 'aarch64_be'
  | 's390x'
  | 'arm'
  | 'riscv32'
  | 'riscv64'
  | 'ppc'
  | 'ppc64'
  | 'ppc64le'
  | 'mips'
  | 'mipsel'
  | 'mips64'
  | 'mips64el'
  | 'windows_x64';

type Command = readonly [program: string, ...flags: string[]];

const own = (arch: NodeJS.Architecture, cross: string): string => (process.arch === arch ? 'gcc' : cross);

/** How Debian calls gcc for a target. */
const GCC: Readonly<Record<string, Command>> = {
  x86_64: [own('x64', 'x86_64-linux-gnu-gcc'), '-m64'],
  i386: [own('x64', 'i686-linux-gnu-gcc'), '-m32'],
  aarch64: [own('arm64', 'aarch64-linux-gnu-gcc'), '-mlittle-endian'],
  aarch64_be: ['aarch64-linux-gnu-gcc', '-mbig-endian'],
  s390x: [own('s390x', 's390x-linux-gnu-gcc'), '-m64'],
  arm: [own('arm', 'arm-linux-gnueabihf-gcc')],
  riscv64: [own('riscv64', 'riscv64-linux-gnu-gcc')],
  riscv32: ['riscv64-unknown-elf-gcc', '-march=rv32imac', '-mabi=ilp32'],
  ppc: ['powerpc-linux-gnu-gcc'],
  ppc64: ['powerpc64-linux-gnu-gcc'],
  ppc64le: ['powerpc64le-linux-gnu-gcc'],
  mips: ['mips-linux-gnu-gcc'],
  mipsel: ['mipsel-linux-gnu-gcc'],
  mips64: ['mips64-linux-gnuabi64-gcc'],
  mips64el: ['mips64el-linux-gnuabi64-gcc'],
  windows_x64: ['x86_64-w64-mingw32-gcc'],
};

/** What clang calls the targets that are not `NAME-linux-gnu`. */
const TRIPLES: Readonly<Record<string, string>> = {
  arm: 'arm-linux-gnueabihf',
  riscv32: 'riscv32-unknown-elf',
  ppc: 'powerpc-linux-gnu',
  ppc64: 'powerpc64-linux-gnu',
  ppc64le: 'powerpc64le-linux-gnu',
  mips64: 'mips64-linux-gnuabi64',
  mips64el: 'mips64el-linux-gnuabi64',
  windows_x64: 'x86_64-w64-windows-gnu',
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

/** Whether a program is found on PATH. */
function isInstalled(program: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** The same compiler for C++. */
function plusPlus(program: string): string {
  return program === 'clang' ? 'clang++' : program.replace(/gcc$/, 'g++');
}

/**
 * The program and its flags for a target: without a wish, gcc where it is installed for the target, else clang, which
 * knows every target.
 * @throws ExtractError `EXTRACT_REQUEST`.
 */
export function commandOf(compiler: string | undefined, target: Target, isPlusPlus: boolean): Command {
  const named = (program: string): string => (isPlusPlus ? plusPlus(program) : program);
  if (compiler === undefined) {
    const [program, ...flags] = GCC[target.name] ?? [''];
    if (program !== '' && isInstalled(named(program))) return [named(program), ...flags];
    return commandOf(isInstalled(named('clang')) || program === '' ? 'clang' : 'gcc', target, isPlusPlus);
  }
  if (/clang(\+\+)?(-[0-9.]+)?$/.test(basename(compiler))) {
    const triple = `--target=${TRIPLES[target.name] ?? `${target.name}-linux-gnu`}`;
    // Its own assembler for MIPS swallows the directives that a probe leaves in its text.
    const plain = target.name.startsWith('mips') ? ['-fno-integrated-as'] : [];
    return [compiler === 'clang' ? named(compiler) : compiler, triple, ...plain];
  }
  const known = GCC[target.name];
  if (compiler === 'g++' && known !== undefined) return [plusPlus(known[0]), ...known.slice(1)];
  if (compiler !== 'gcc') return [compiler, ...(known?.slice(1) ?? [])];
  if (known !== undefined) return [named(known[0]), ...known.slice(1)];
  throw new ExtractError('EXTRACT_REQUEST', `no gcc is known for the target ${target.name}: name its program`);
}
