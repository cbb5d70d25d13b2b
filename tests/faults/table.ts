import { mkdirSync, rmSync } from 'node:fs';
import type { Random } from '../support/random.js';
import type { Workdir } from '../support/workdir.js';
import { inject, type ErrorName, type Fault, type Injected } from './inject.js';
import type { Scenario } from './scenario.js';

const ERRORS: readonly [ErrorName, ...ErrorName[]] = ['EIO', 'ENOSPC', 'EDQUOT'];
/** Calls that move content to an output: what is lost in one of them is lost silently. */
const MOVERS = new Set(['pwrite64', 'pwritev', 'pwritev2', 'write', 'writev', 'copy_file_range']);
/** More than any command makes. */
const ALL = 1_000_000;

/** How often each call is made, by {@link Scenario.makesCallsAs}. */
export type CallCounts = Map<string, Promise<readonly (readonly [string, number])[]>>;

/** What became of the faults. */
export interface TableResult {
  /** Runs in which a call failed. */
  readonly faults: number;
  /** How many of them ended with exit code 0: the call had a substitute. */
  readonly survived: number;
  /** Faults for each call. */
  readonly calls: ReadonlyMap<string, number>;
  /** One for each broken promise. */
  readonly violations: readonly string[];
}

/** Runs scenarios in a directory, each run in a new directory of outputs. */
export class FaultTable {
  readonly #directory: Workdir;
  readonly #random: Random;
  readonly #counted: CallCounts;
  readonly #busy = new Map<string, Promise<unknown>>();
  #runs = 0;

  /** @param counted what is known of the calls that scenarios make, and becomes known */
  constructor(directory: Workdir, random: Random, counted: CallCounts = new Map()) {
    this.#directory = directory;
    this.#counted = counted;
    this.#random = random;
  }

  /** Injects `count` faults, spread over the scenarios, the calls that each makes, and their place. */
  async run(scenarios: readonly Scenario[], count: number, lanes: number): Promise<TableResult> {
    const calls = new Map<string, number>();
    const violations: string[] = [];
    let [faults, survived, started] = [0, 0, 0];
    const order = this.#shuffled(scenarios);
    const lane = async (): Promise<void> => {
      // Some faults are chosen for a call that this run does not get to: another one takes their place, within bounds.
      while (faults < count && started < count * 2) {
        const scenario = order[started % order.length];
        if (scenario === undefined) return;
        started += 1;
        let made = this.#counted.get(scenario.makesCallsAs);
        if (made === undefined) {
          made = this.#count(scenario, violations);
          this.#counted.set(scenario.makesCallsAs, made);
        }
        const fault = this.#choose(await made, calls);
        if (fault === undefined) return;
        const { ended, problem } = await this.#try(scenario, fault);
        if (ended.injected === 0 && problem === undefined) continue;
        faults += 1;
        calls.set(fault.call, (calls.get(fault.call) ?? 0) + 1);
        if (ended.finished.status === 0) survived += 1;
        if (problem !== undefined) violations.push(problem);
      }
    };
    await Promise.all(Array.from({ length: lanes }, lane));
    return { faults, survived, calls, violations };
  }

  /** What a scenario calls when nothing fails. */
  async #count(scenario: Scenario, violations: string[]): Promise<[string, number][]> {
    const { ended, problem } = await this.#try(scenario, undefined);
    if (problem !== undefined) violations.push(problem);
    else if (ended.finished.status !== 0) violations.push(`${scenario.name}, undisturbed: ${ended.finished.stderr}`);
    return [...ended.counts];
  }

  /** A call that moves content in half of the cases, or one that had few faults so far; at its first, middle or last time, once or from then on. */
  #choose(made: readonly (readonly [string, number])[], had: ReadonlyMap<string, number>): Fault | undefined {
    const movers = made.filter(([call]) => MOVERS.has(call));
    const candidates = movers.length > 0 && this.#random.chance(2) ? movers : made;
    const few = this.#shuffled(candidates).sort(([a], [b]) => (had.get(a) ?? 0) - (had.get(b) ?? 0));
    const chosen = few[this.#random.chance(2) ? 0 : this.#random.below(few.length)];
    if (chosen === undefined) return undefined;
    const [call, times] = chosen;
    const from = this.#random.pick([1, Math.ceil((times + 1) / 2), times]);
    return { call, from, times: this.#random.chance(2) ? 1 : ALL, error: this.#random.pick(ERRORS) };
  }

  async #try(scenario: Scenario, fault: Fault | undefined): Promise<{ ended: Injected; problem: string | undefined }> {
    const device = scenario.device === '-' ? undefined : scenario.device;
    if (device === undefined) return this.#once(scenario, fault);
    const mine = (this.#busy.get(device) ?? Promise.resolve()).then(() => this.#once(scenario, fault));
    this.#busy.set(
      device,
      mine.catch(() => undefined),
    );
    return mine;
  }

  async #once(scenario: Scenario, fault: Fault | undefined): Promise<{ ended: Injected; problem: string | undefined }> {
    this.#runs += 1;
    const output = `run-${this.#runs}`;
    const directory = this.#directory;
    mkdirSync(directory.file(output));
    scenario.prepare(directory, output);
    const ground = { output: directory.file(output), input: directory.file('in'), device: scenario.device };
    const ended = await inject(directory, scenario.command(output).in(directory), ground, fault);
    const problem = judge(scenario, directory, output, ended);
    rmSync(directory.file(output), { recursive: true });
    const what =
      fault === undefined ? 'undisturbed' : `${fault.error} from ${fault.call} ${fault.from} (${fault.times}×)`;
    const { status, stderr } = ended.finished;
    const told = problem && `${scenario.name}, ${what}: ${problem}\n  exit ${String(status)}: ${stderr.trim()}`;
    return { ended, problem: told };
  }

  #shuffled<T>(things: readonly T[]): T[] {
    return things
      .map((thing) => ({ thing, key: this.#random.below(1 << 30) }))
      .sort((a, b) => a.key - b.key)
      .map(({ thing }) => thing);
  }
}

/** The promise: exit 0 means the right bytes, exit 1 that nothing has changed; there is no other end. */
function judge(scenario: Scenario, directory: Workdir, output: string, ended: Injected): string | undefined {
  const { status, signal, stderr } = ended.finished;
  if (signal !== null) return 'it hangs';
  if (ended.signal !== 0) return `signal ${ended.signal} ended it`;
  if (ended.left) return 'a process is left';
  if (status === 0) return scenario.judgeSuccess(directory, output, ended.finished);
  if (status !== 1) return 'the exit code is neither 0 nor 1';
  if (!/^(?:instar: [^\n]+\n)+$/.test(stderr)) return 'it is not told in sentences';
  if (/internal|\bbug\b|panick|undefined/i.test(stderr)) return 'it is told as a fault of the program';
  return scenario.judgeFailure(directory, output, ended.finished);
}
