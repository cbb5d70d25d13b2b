import { spawn, spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The command as it is installed, run by node and not through npx. */
export const INSTAR = [process.execPath, fileURLToPath(new URL('../packages/cli/bin/instar.js', import.meta.url))];

/** The median of some numbers. */
export function medianOf(times) {
  const sorted = [...times].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Milliseconds of a clock tick in /proc (USER_HZ is 100 on every Linux that node runs on). */
const TICK_MS = 10;
/** Most CPU time of others, as a part of a run's time, with which the run still counts. */
const MOST_DISTURBANCE = 0.25;
/** Turns that are made at most, as a multiple of those that are wanted. */
const MOST_TURNS = 3;

/** CPU time (ms) that the whole machine has used, and that this process and its ended children have used. */
function cpuTimes() {
  const [user, nice, system, , , irq, softirq, steal] = readFileSync('/proc/stat', 'utf8')
    .split('\n', 1)[0]
    .split(/\s+/)
    .slice(1)
    .map(Number);
  const own = readFileSync('/proc/self/stat', 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
    .slice(11, 15)
    .map(Number);
  return {
    all: (user + nice + system + irq + softirq + steal) * TICK_MS,
    own: own.reduce((sum, ticks) => sum + ticks) * TICK_MS,
  };
}

/**
 * Touches memory and gives it back. A hypervisor with free page reporting takes free memory away, and what it took costs a
 * program several times as much to get as what was just freed: 0.3 or 1.2 s for a GiB, whichever program comes first.
 */
function warmMemory(bytes) {
  spawnSync('dd', ['if=/dev/zero', 'of=/dev/null', `bs=${bytes}`, 'count=1'], { stdio: 'ignore' });
}

function timeOnce([program, ...args], outputs, warm) {
  for (const output of outputs) rmSync(output, { force: true });
  if (warm > 0) warmMemory(warm);
  const before = cpuTimes();
  const start = process.hrtime.bigint();
  const { status, error, stderr } = spawnSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const end = process.hrtime.bigint();
  if (error) throw error;
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} exited with ${status}: ${stderr}`);
  const after = cpuTimes();
  const time = Number(end - start) / 1e6;
  const others = after.all - before.all - (after.own - before.own);
  return { time, disturbed: others > Math.max(time * MOST_DISTURBANCE, 4 * TICK_MS) };
}

/**
 * Times commands in turn, A B C then C B A, after one turn that is not counted. A turn in which other programs used the CPU
 * is repeated, up to three times as many turns as are wanted; what is still missing then is taken from the disturbed ones.
 * @param warm bytes of memory to warm before each run
 * @returns milliseconds for each command; `disturbed` is how many turns were
 */
export function timeInterleaved(commands, runs, outputs, warm = 0) {
  const clean = [];
  const disturbed = [];
  for (let turn = -1; clean.length < runs && turn < runs * MOST_TURNS; turn += 1) {
    const row = [];
    const order = [...commands.keys()];
    for (const index of turn % 2 === 0 ? order : order.reverse()) row[index] = timeOnce(commands[index], outputs, warm);
    if (turn >= 0) (row.some((run) => run.disturbed) ? disturbed : clean).push(row.map((run) => run.time));
  }
  for (const output of outputs) rmSync(output, { force: true });
  const taken = [...clean, ...disturbed].slice(0, runs);
  const times = commands.map((_, index) => taken.map((row) => row[index]));
  return Object.assign(times, { disturbed: taken.length - clean.length });
}

/** Peak resident memory of a command, from the kernel's high-water mark while it runs (bytes). */
export function peakMemory([program, ...args]) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
    let peak = 0;
    const timer = setInterval(() => {
      try {
        const mark = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'));
        if (mark) peak = Math.max(peak, Number(mark[1]) * 1024);
      } catch {
        // The process has just ended.
      }
    }, 5);
    child.on('error', reject);
    child.on('close', (status) => {
      clearInterval(timer);
      if (status === 0) resolve(peak);
      else reject(new Error(`${program} ${args.join(' ')} exited with ${status}`));
    });
  });
}
