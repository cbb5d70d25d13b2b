// `npm run bench -- fast`: what a call of the API costs, many images at once, cancellations, memory after thousands of
// calls, and the start of the command. Certificates that NODE_EXTRA_CA_CERTS names would cost 45 ms at each start.
/* global AbortController */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { setMaxListeners } from 'node:events';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { closePool, info, infoOfEach } from '@instar/engine';
import { INSTAR, medianOf, timeInterleaved } from './measure.mjs';
import { printTable } from './table.mjs';

const FORMATS = ['qcow2', 'raw', 'vmdk', 'vdi', 'vpc', 'vhdx', 'qed'];
const SANDBOXES = ['kvm', 'process'];
/** Median time of one call, time of 1000 images and 99th percentile of a cancellation (ms). */
const [MOST_CALL, MOST_THOUSAND, MOST_ABORT] = [0.7, 600, 20];
/** What the resident set may have grown by from 1,000 calls to 10,000, as a part of it. */
const MOST_GROWTH = 0.05;

async function timed(action) {
  const start = performance.now();
  await action();
  return performance.now() - start;
}

async function repeated(count, action) {
  const times = [];
  for (let turn = 0; turn < count; turn += 1) times.push(await timed(action));
  return times;
}

function verdict(what, found, most, unit) {
  console.log(`${what}: ${found.toFixed(2)} ${unit}, at most ${most} ${unit}: ${found <= most ? 'met' : 'NOT met'}`);
}

async function all(files, control) {
  for await (const { error } of infoOfEach(files, {}, control)) if (error !== undefined) throw error;
}

async function cancellations(file, control, turns) {
  const late = [];
  for (let turn = 0; turn < turns; turn += 1) {
    const abort = new AbortController();
    setMaxListeners(0, abort.signal);
    const calls = Array.from({ length: 16 }, () =>
      info(file, {}, { ...control, signal: abort.signal }).catch(() => {}),
    );
    await sleep(turn % 5);
    late.push(
      await timed(async () => {
        abort.abort();
        await Promise.all(calls);
      }),
    );
  }
  return late.sort((a, b) => a - b)[Math.ceil(late.length * 0.99) - 1];
}

function thousandByQemuImg(files) {
  const list = files.join('\n');
  const workers = String(availableParallelism());
  const start = performance.now();
  const done = spawnSync('xargs', ['-n1', `-P${workers}`, 'qemu-img', 'info'], {
    input: list,
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  if (done.status !== 0) throw new Error('qemu-img failed');
  return performance.now() - start;
}

/** Measures and prints. @param runs turns of what takes long */
export async function benchFast({ runs = 9, calls = 10_000 } = {}) {
  delete process.env.NODE_EXTRA_CA_CERTS;
  const place = mkdtempSync(join(tmpdir(), 'instar-bench-fast-'));
  try {
    const images = FORMATS.map((format) => join(place, `disk.${format}`));
    images.forEach((image, index) => spawnSync('qemu-img', ['create', '-q', '-f', FORMATS[index], image, '64M']));
    const [qcow2] = images;
    const thousand = Array.from({ length: 1000 }, (_, index) => images[index % images.length]);
    const peers = [];
    for (let turn = 0; turn < Math.min(runs, 3); turn += 1) peers.push(thousandByQemuImg(thousand));
    for (const sandbox of SANDBOXES) {
      await repeated(200, () => info(qcow2, {}, { sandbox }));
      const kept = medianOf(await repeated(1000, () => info(qcow2, {}, { sandbox })));
      const fresh = medianOf(await repeated(100, () => info(qcow2, {}, { sandbox, isolation: 'fresh' })));
      console.log(`${sandbox}: info of one qcow2, fresh: ${fresh.toFixed(2)} ms`);
      verdict(`${sandbox}: info of one qcow2, pooled`, kept, MOST_CALL, 'ms');
      const many = medianOf(await repeated(runs, () => all(thousand, { sandbox })));
      verdict(`${sandbox}: 1000 images of ${FORMATS.length} formats in one call`, many, MOST_THOUSAND, 'ms');
      console.log(`${sandbox}: ${(medianOf(peers) / many).toFixed(1)}× as many a second as qemu-img, at least 4×`);
      verdict(
        `${sandbox}: cancellation, 99th percentile`,
        await cancellations(qcow2, { sandbox }, 200),
        MOST_ABORT,
        'ms',
      );
      const one = Array.from({ length: calls }, () => qcow2);
      await all(one.slice(0, 1000), { sandbox });
      const before = process.memoryUsage.rss();
      await all(one, { sandbox });
      const growth = Math.max(0, process.memoryUsage.rss() / before - 1);
      verdict(`${sandbox}: growth of the resident set over ${calls} calls`, growth * 100, MOST_GROWTH * 100, '%');
    }
    await closePool();
    startOfCommand(qcow2, join(place, 'out.raw'), runs);
  } finally {
    rmSync(place, { recursive: true });
  }
}

/** What the command costs beyond bare node. */
function startOfCommand(image, output, runs) {
  const bare = [process.execPath, '-e', '0'];
  const commands = [
    ['--version', ['--version'], 8],
    ['--help', ['--help'], 12],
    ['info', ['info', image], 25],
    ['dd count=0', ['dd', `if=${image}`, `of=${output}`, 'count=0'], 25],
  ];
  const times = timeInterleaved([bare, ...commands.map(([, words]) => [...INSTAR, ...words])], runs, [output]);
  const rows = commands.map(([name, , most], index) => {
    const ours = times[index + 1];
    return { name, peer: 'bare node', ours, theirs: times[0], above: medianOf(ours) - medianOf(times[0]), most };
  });
  printTable(rows);
}
