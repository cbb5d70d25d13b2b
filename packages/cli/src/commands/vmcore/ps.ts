import { escapeText } from '@instar/engine';
import { readTasks, type Task } from '@instar/vmcore';
import { EXIT_CODES } from '../../exit-codes.js';
import { dumpJson } from './dump-json.js';
import { printWarnings, usageError, withDump, type CommandContext, type Flags } from './flags.js';
import { standardOutput } from '../../process/standard-streams.js';

/** Tasks that `--json` holds: as many as most machines ever have, and fewer than a hostile dump claims. */
const MOST_JSON = 1 << 18;

const nameOf = ({ name, isKernel }: Task): string => {
  const text = escapeText(Buffer.from(name).toString('utf8'));
  return isKernel ? `[${text}]` : text;
};

function lineOf(task: Task, threads: boolean): string {
  const { pid, tgid, ppid, state, address } = task;
  const numbers = [threads ? tgid : pid, ...(threads ? [pid] : []), ppid].map((value) => String(value).padStart(7));
  return `${numbers.join(' ')} ${state} ${address.toString(16).padStart(16, '0')} ${nameOf(task)}\n`;
}

function jsonOf({ pid, tgid, ppid, state, address, isKernel, name }: Task): object {
  const text = Buffer.from(name).toString('utf8');
  return { pid, tgid, ppid, state, address: `0x${address.toString(16)}`, kernel: isKernel, name: text };
}

/** `instar vmcore ps`. */
export async function ps(files: readonly string[], flags: Flags, context: CommandContext): Promise<number> {
  const threads = flags.all === true;
  return withDump(files, context, async (dump) => {
    if (flags.json !== true) await printWarnings(dump);
    const tasks: object[] = [];
    if (flags.json !== true) {
      const heads = [threads ? '    PID     TID' : '    PID', '   PPID', 'S', 'TASK'.padEnd(16), 'NAME'];
      standardOutput.write(`${heads.join(' ')}\n`);
    }
    for await (const task of readTasks(dump, { vmlinux: flags.vmlinux, threads })) {
      context.signal.throwIfAborted();
      if (flags.json !== true) {
        standardOutput.write(lineOf(task, threads));
        continue;
      }
      if (tasks.length === MOST_JSON) throw usageError(`found more than ${MOST_JSON} tasks: leave --json out`);
      tasks.push(jsonOf(task));
    }
    if (flags.json === true) standardOutput.write(`${dumpJson({ tasks })}\n`);
    return EXIT_CODES.OK;
  });
}
