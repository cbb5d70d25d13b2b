import { hex, VmcoreError } from '../errors.js';
import { check } from '../options/calls.js';
import type { Dump } from '../read/dump.js';
import { DebugInfo, fieldOf, type DebugInfoOptions, type KernelType } from './debug-info.js';
import { kernelView } from './kernel-view.js';
import { wordAt } from './words.js';

/** A process, or a thread of one. */
export interface Task {
  /** Virtual address of its task_struct. */
  readonly address: bigint;
  /** Number of the thread; of the first one that of the process. */
  readonly pid: number;
  /** Number of the process. */
  readonly tgid: number;
  /** Number of the process that it belongs to (0: none). */
  readonly ppid: number;
  /** State as ps shows it: R, S, D, T, t, X, Z, P, I, or ? */
  readonly state: string;
  /** Whether it is of the kernel, without memory of its own. */
  readonly isKernel: boolean;
  /** Its name's bytes: whatever somebody called it. */
  readonly name: Uint8Array;
}

export interface TaskOptions extends DebugInfoOptions {
  /** Also the threads of each process. */
  readonly threads?: boolean | undefined;
}

/** Most tasks that are believed: PID_MAX_LIMIT (Linux, include/linux/threads.h). */
const MAX_TASKS = 1 << 22;
/** Most bytes of a task_struct. */
const MAX_SIZE = 1 << 16;

/** States (Linux, include/linux/sched.h): what of them is set first names a task. */
const STATES: readonly (readonly [number, string])[] = [
  [0x1, 'S'],
  [0x2, 'D'],
  [0x4, 'T'],
  [0x8, 't'],
  [0x10, 'X'],
  [0x20, 'Z'],
  [0x40, 'P'],
];
/** TASK_UNINTERRUPTIBLE and TASK_NOLOAD: a thread of the kernel without work. */
const IDLE = 0x402;

interface Layout {
  readonly size: number;
  readonly at: (name: string) => number;
  readonly optional: (name: string) => number | undefined;
}

function layoutOf(dump: Dump, type: KernelType): Layout {
  if (type.size <= 0 || type.size > MAX_SIZE) throw impossible(dump, 'size of task_struct', String(type.size));
  const optional = (name: string): number | undefined => {
    const field = fieldOf(type, name);
    if (field === undefined) return undefined;
    if (Number.isInteger(field.offset) && field.offset >= 0 && field.offset + 8 <= type.size) return field.offset;
    throw impossible(dump, name, String(field.offset));
  };
  return {
    size: type.size,
    optional,
    at: (name) => {
      const found = optional(name);
      if (found !== undefined) return found;
      throw new VmcoreError('UNSUPPORTED', `tasks cannot be read: task_struct has no ${name}`, { file: dump.name });
    },
  };
}

function impossible(dump: Dump, field: string, found: string): VmcoreError {
  return new VmcoreError('BAD_DUMP', 'tasks cannot be read', { file: dump.name, field, found });
}

function stateOf(state: number, exit: number): string {
  const both = (state & 0x7f) | (exit & 0x30);
  if ((state & IDLE) === IDLE) return 'I';
  return both === 0 ? 'R' : (STATES.find(([bit]) => (both & bit) !== 0)?.[1] ?? '?');
}

class TaskReader {
  readonly #dump: Dump;
  readonly #layout: Layout;
  readonly #offsets;
  seen = 0;

  constructor(dump: Dump, layout: Layout) {
    this.#dump = dump;
    this.#layout = layout;
    const { at, optional } = layout;
    // The field was renamed in 5.14.
    const state = optional('__state') ?? at('state');
    const names = ['pid', 'tgid', 'comm', 'mm', 'exit_state', 'real_parent', 'tasks'] as const;
    const [pid, tgid, comm, mm, exit, parent, tasks] = names.map(at) as [
      number,
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    this.#offsets = { state, pid, tgid, comm, mm, exit, parent, tasks };
  }

  get tasksAt(): bigint {
    return BigInt(this.#offsets.tasks);
  }

  async read(address: bigint): Promise<{ readonly task: Task; readonly bytes: Uint8Array }> {
    this.seen += 1;
    if (this.seen > MAX_TASKS) throw impossible(this.#dump, 'tasks', `more than ${MAX_TASKS}`);
    // The dump may have been made without pages of zeros, as which crash reads them too.
    const bytes = await this.#dump.readVirtual(address, this.#layout.size, { excluded: 'zero' });
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const little = this.#dump.byteOrder === 'little';
    const number = (at: number): number => view.getInt32(at, little);
    const { state, pid, tgid, comm, mm, exit, parent } = this.#offsets;
    const name = bytes.slice(comm, Math.min(comm + 16, bytes.length));
    const end = name.indexOf(0);
    const task: Task = {
      address,
      pid: number(pid),
      tgid: number(tgid),
      ppid: await this.#tgidOf(wordAt(bytes, parent, this.#dump)),
      state: stateOf(view.getUint32(state, little), view.getUint32(exit, little)),
      isKernel: wordAt(bytes, mm, this.#dump) === 0n && (view.getUint32(exit, little) & 0x30) === 0,
      name: end < 0 ? name : name.subarray(0, end),
    };
    return { task, bytes };
  }

  async #tgidOf(address: bigint): Promise<number> {
    if (address === 0n) return 0;
    const bytes = await this.#dump.readVirtual(address + BigInt(this.#offsets.tgid), 4);
    return new DataView(bytes.buffer, bytes.byteOffset).getInt32(0, this.#dump.byteOrder === 'little');
  }
}

/**
 * Goes through a list of the kernel: addresses of its nodes, without its head.
 * @throws VmcoreError `BAD_DUMP` where it leads in a circle that has no end
 */
async function* listNodes(dump: Dump, head: bigint): AsyncGenerator<bigint> {
  const next = async (node: bigint): Promise<bigint> =>
    wordAt(await dump.readVirtual(node, dump.wordBits / 8), 0, dump);
  // Whoever walks in a circle meets again a place that is remembered from time to time (Brent).
  let [remembered, steps, limit] = [head, 0, 2];
  for (let node = await next(head); node !== head; node = await next(node)) {
    if (node === remembered) throw impossible(dump, 'list_head.next', `a circle at ${hex(node)}`);
    yield node;
    steps += 1;
    if (steps < limit) continue;
    [remembered, steps, limit] = [node, 0, limit * 2];
  }
}

/**
 * The processes of a dump, in the order in which they were started, after init_task's own.
 * @throws VmcoreError `UNSUPPORTED` without symbols and types, `INVALID_ARGUMENT` for a file of another kernel, `BAD_DUMP`, and
 *   what reading the kernel's memory comes to
 */
export async function* readTasks(given: Dump, options: TaskOptions = {}): AsyncGenerator<Task> {
  check.dump(given);
  const dump = kernelView(given);
  const { vmlinux, threads = false } = check.tasks(options);
  const info = new DebugInfo(dump, { vmlinux });
  const [first] = await info.symbols('init_task');
  const layout = layoutOf(dump, await info.type('struct task_struct'));
  const reader = new TaskReader(dump, layout);
  const threadLists = threads ? await threadListsOf(dump, info, layout) : undefined;
  for await (const node of listNodes(dump, first + reader.tasksAt)) {
    const address = BigInt.asUintN(dump.wordBits, node - reader.tasksAt);
    const { task, bytes } = await reader.read(address);
    yield task;
    if (threadLists === undefined) continue;
    const { head, member } = threadLists(address, bytes);
    for await (const thread of listNodes(dump, head)) {
      const other = BigInt.asUintN(dump.wordBits, thread - member);
      if (other !== address) yield (await reader.read(other)).task;
    }
  }
}

type ThreadList = (task: bigint, bytes: Uint8Array) => { readonly head: bigint; readonly member: bigint };

/** Threads hang on what the signals of their process share, since 3.14; before, on its first thread. */
async function threadListsOf(dump: Dump, info: DebugInfo, layout: Layout): Promise<ThreadList> {
  const node = layout.optional('thread_node');
  if (node === undefined) {
    const group = BigInt(layout.at('thread_group'));
    return (task) => ({ head: task + group, member: group });
  }
  const signal = layout.at('signal');
  const head = fieldOf(await info.type('struct signal_struct'), 'thread_head')?.offset;
  if (head === undefined) {
    throw new VmcoreError('UNSUPPORTED', 'threads cannot be read: signal_struct has no thread_head', {
      file: dump.name,
    });
  }
  return (_task, bytes) => ({ head: wordAt(bytes, signal, dump) + BigInt(head), member: BigInt(node) });
}
