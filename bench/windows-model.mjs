// What windows of one image would take on more workers than there are here: `node bench/windows-model.mjs`. A model, from
// figures that were measured on one machine (docs/plans/PLAN-many-machines.md); workers and a shared file system are told apart.

/** Measured: MiB a second of one worker on one core, seconds that a window costs besides, and that plan and finish take. */
const MEASURED = { rate: 640, window: 0.015, queue: 0.005, plan: 0.06, finish: 0.02 };
const MIB = 4096;
const WORKERS = [1, 2, 4, 8, 16, 32, 64];

/**
 * Seconds for an image of so many MiB.
 * @param disk MiB that the shared file system writes in a second, whoever writes
 */
function seconds(workers, windows, disk, { rate, window, queue, plan, finish } = MEASURED) {
  const size = MIB / windows;
  const left = Array.from({ length: windows }, () => size);
  // Workers that are between two windows, by when they begin the next; and those that write.
  let idle = Array.from({ length: workers }, () => queue + window);
  let active = [];
  let now = 0;
  while (left.length > 0 || active.length > 0) {
    const speed = Math.min(rate, disk / Math.max(1, active.length));
    const ends = active.map((rest) => now + rest / speed);
    const begins = left.length > 0 ? idle : [];
    const next = Math.min(...ends, ...begins);
    const step = next - now;
    active = active.map((rest) => rest - step * speed);
    now = next;
    const done = active.filter((rest) => rest < 1e-9).length;
    active = active.filter((rest) => rest >= 1e-9);
    // The queue hands out one job at a time.
    idle = idle.concat(Array.from({ length: done }, (_, index) => now + window + queue * (index + 1)));
    const ready = idle.filter((at) => at <= now + 1e-12);
    for (const at of ready) {
      if (left.length === 0) break;
      active.push(left.pop());
      idle.splice(idle.indexOf(at), 1);
    }
  }
  return plan + now + finish;
}

/** The same of a compressed output: MiB of the disk a second that a worker compresses, and that the last job joins. */
const PACKED = { ...MEASURED, rate: 146, join: 760 };

function packedSeconds(workers, windows) {
  return seconds(workers, windows, Infinity, PACKED) + MIB / PACKED.join;
}

console.log(`a compressed output: seconds for ${MIB} MiB (times as fast as one worker)`);
for (const workers of WORKERS) {
  const cells = [16, 60].map((windows) => {
    const time = packedSeconds(workers, windows);
    return `${windows} windows ${time.toFixed(2)} (${(packedSeconds(1, windows) / time).toFixed(1)})`;
  });
  console.log(`  ${String(workers).padStart(2)} workers: ${cells.join(', ')}`);
}

for (const disk of [700, 3000, 20_000]) {
  console.log(`a file system that writes ${disk} MiB a second: seconds for ${MIB} MiB (times as fast as one worker)`);
  for (const workers of WORKERS) {
    const cells = [16, 64, 256].map((windows) => {
      const time = seconds(workers, windows, disk);
      return `${windows} windows ${time.toFixed(2)} (${(seconds(1, windows, disk) / time).toFixed(1)})`;
    });
    console.log(`  ${String(workers).padStart(2)} workers: ${cells.join(', ')}`);
  }
}
