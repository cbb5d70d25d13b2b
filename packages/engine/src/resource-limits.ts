import { existsSync, readFileSync } from 'node:fs';
import { EngineError } from './errors.js';

/** A soft limit of this process as /proc/self/limits names it; undefined where there is none, or no /proc. */
function softLimit(name: string): bigint | undefined {
  try {
    const line = readFileSync('/proc/self/limits', 'latin1')
      .split('\n')
      .find((text) => text.startsWith(name));
    const soft = line?.slice(name.length).trim().split(/\s+/)[0] ?? '';
    return /^\d+$/.test(soft) ? BigInt(soft) : undefined;
  } catch {
    return undefined;
  }
}

/** More memory for keys than PBKDF2 needs (bytes). */
const LARGE_KEY_MEMORY = 128n << 20n;

function reasonOf(errno: number, keyMemory: bigint): string | undefined {
  if (errno === 2 && !existsSync('/dev/null')) {
    return '/dev/null is missing, and a sandbox needs it; make it (mknod -m 666 /dev/null c 1 3) or bind it from the host';
  }
  if (errno === 24) {
    return `this process may open ${softLimit('Max open files') ?? 'too few'} files (RLIMIT_NOFILE); raise ulimit -n`;
  }
  const space = softLimit('Max address space');
  if (errno === 12 && space !== undefined) {
    const keys =
      keyMemory < LARGE_KEY_MEMORY
        ? ''
        : `, and ${keyMemory} are set aside for making keys of passphrases; lower limits.keyMemory (--limit-key-memory 64M)`;
    return (
      `the address space of this process is limited to ${space} bytes (RLIMIT_AS, ulimit -v), most of which Node.js ` +
      `reserves without using it${keys}; allow 2 GiB, set MALLOC_ARENA_MAX=1, or bound the memory by a cgroup instead`
    );
  }
  const processes = softLimit('Max processes');
  if (errno === 11 && processes !== undefined) {
    return `this user may have ${processes} processes and threads (RLIMIT_NPROC); raise ulimit -u`;
  }
  return undefined;
}

/**
 * Says which limit of the process kept a sandbox from starting, where it was one.
 * @param error what the native part, or a read of the product's own files, has thrown
 * @param keyMemory address space that was asked for keys (bytes)
 * @returns undefined where no limit is to blame
 */
export function explainLimit(error: unknown, keyMemory = 0n): EngineError | undefined {
  if (!(error instanceof Error)) return undefined;
  const fromRust = /\(os error (\d+)\)/.exec(error.message)?.[1];
  const fromNode = 'errno' in error && typeof error.errno === 'number' ? -error.errno : 0;
  const reason = reasonOf(fromRust === undefined ? fromNode : Number(fromRust), keyMemory);
  if (reason === undefined) return undefined;
  return new EngineError('SANDBOX_UNAVAILABLE', `the sandbox cannot start: ${reason}`, { cause: error });
}
