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

function timeOnce([program, ...args], outputs) {
  for (const output of outputs) rmSync(output, { force: true });
  const start = process.hrtime.bigint();
  const { status, error, stderr } = spawnSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const end = process.hrtime.bigint();
  if (error) throw error;
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} exited with ${status}: ${stderr}`);
  return Number(end - start) / 1e6;
}

/** Times commands in turn, A B C A B C …, after one turn that is not counted. Milliseconds for each command. */
export function timeInterleaved(commands, runs, outputs) {
  const times = commands.map(() => []);
  for (let turn = -1; turn < runs; turn += 1) {
    commands.forEach((command, index) => {
      const time = timeOnce(command, outputs);
      if (turn >= 0) times[index].push(time);
    });
  }
  for (const output of outputs) rmSync(output, { force: true });
  return times;
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
