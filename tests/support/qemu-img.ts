import { parseSize } from '@instar/operands';
import { program, type CommandLine } from './command.js';
import { QEMU_IMG, judgeVersion } from './judge.js';
import { quickPbkdf } from './quick-pbkdf.js';
import { Workdir } from './workdir.js';

/** `qemu-img …` */
export function qemuImg(...args: readonly string[]): CommandLine {
  return program('qemu-img', ...args).environment(quickPbkdf(args));
}

/** `qemu-io -c … -c … file`: writes into images. */
export function qemuIo(file: string, ...commands: readonly string[]): CommandLine {
  return program('qemu-io', ...commands.flatMap((command) => ['-c', command]), file);
}

let suffixesInCounts: boolean | undefined;

/** Whether this qemu-img takes `count=1k`; some distributions' builds take plain integers only. */
function takesSuffixesInCounts(): boolean {
  if (suffixesInCounts === undefined) {
    const directory = new Workdir();
    try {
      directory.write('in.raw', new Uint8Array(512));
      suffixesInCounts = qemuImg('dd', 'if=in.raw', 'of=out.raw', 'count=1k').in(directory).run().status === 0;
    } finally {
      directory.remove();
    }
  }
  return suffixesInCounts;
}

function plainInteger(token: string): string {
  const [name = '', ...value] = token.split('=');
  if (name !== 'count' && name !== 'skip') return token;
  try {
    return `${name}=${parseSize(value.join('='))}`;
  } catch {
    // A number that is refused is passed on as it stands: qemu-img is to refuse it as well.
    return token;
  }
}

/** `qemu-img dd …` with the same meaning as `instar dd …` has for these tokens. */
export function qemuImgDd(...tokens: readonly string[]): CommandLine {
  const translated = takesSuffixesInCounts() ? tokens : tokens.map(plainInteger);
  return qemuImg('dd', ...translated);
}

/** Major version of the judge, 0 where it is not installed. */
export function qemuMajorVersion(): number {
  return Number(/version (\d+)/.exec(judgeVersion(QEMU_IMG) ?? '')?.[1] ?? 0);
}
