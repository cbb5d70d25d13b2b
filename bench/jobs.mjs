// `npm run bench -- jobs [UPLOADS [MIB]]`: small uploads inspected through a queue, beside the plain API; and one image in
// windows by one and by two workers, each bound to a core. Needs redis-server, and bullmq and ioredis.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { copyFileSync, createReadStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { closePool, inspectEach } from '@instar/engine';
import { inspectJob, openQueue, submit } from '@instar/jobs';
import { INSTAR } from './measure.mjs';

const FORMATS = ['qcow2', 'raw', 'vmdk', 'vdi', 'vpc', 'vhdx', 'qed'];
/** Uploads that are one job. */
const JOB_SIZES = [1, 10, 50];
const LEAST_RATIO = 0.9;
const LEAST_GAIN = 1.8;
const WINDOWS = 16;

function run(program, ...words) {
  const { status, stderr } = spawnSync(program, words, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ${words.join(' ')}: ${stderr}`);
}

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function startRedis(directory) {
  const port = await freePort();
  const child = spawn('redis-server', ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', directory, '--save', ''], {
    stdio: 'ignore',
  });
  const url = `redis://127.0.0.1:${port}`;
  for (let tries = 0; ; tries += 1) {
    try {
      const queue = await openQueue(url, 'probe');
      await queue.close();
      return { url, stop: () => child.kill() };
    } catch (error) {
      if (tries > 100) throw error;
      await sleep(50);
    }
  }
}

/** Ticks of the clock in which the system counts CPU time (proc(5)). */
const TICKS = Number(spawnSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }).stdout);

/** CPU time of a process (ms). */
function cpuOf(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return ((Number(fields[11]) + Number(fields[12])) / TICKS) * 1000;
}

/**
 * Workers, each a process.
 * @param cores one for each worker, where they are bound
 * @param onEnd told of each job that ended in one of them
 */
async function startWorkers(url, name, directory, count, options, cores = [], onEnd = () => undefined) {
  const workers = [];
  for (let index = 0; index < count; index += 1) {
    const words = [...INSTAR.slice(1), 'worker', '--queue', url, '--name', name, '--directory', directory, '--json'];
    words.push(...options);
    const bound = cores[index] === undefined ? [] : ['taskset', '-c', `${cores[index]}`];
    const [program, ...rest] = [...bound, process.execPath, ...words];
    const child = spawn(program, rest, { stdio: ['ignore', 'pipe', 'pipe'] });
    workers.push(child);
    createInterface({ input: child.stdout }).on('line', (record) => onEnd(JSON.parse(record).job));
    let text = '';
    await new Promise((resolve, reject) => {
      child.stderr.on('data', (data) => {
        text += data;
        if (text.includes('takes jobs')) resolve();
      });
      child.once('exit', () => reject(new Error(`a worker ended: ${text}`)));
    });
  }
  return {
    cpu: () => workers.map(({ pid }) => cpuOf(pid)),
    memory: () =>
      workers.map(({ pid }) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024),
    stop: async () => {
      for (const child of workers) {
        child.removeAllListeners('exit');
        const ended = once(child, 'exit');
        child.kill('SIGTERM');
        await ended;
      }
    },
  };
}

async function plainly(files) {
  const started = performance.now();
  for await (const { error } of inspectEach(files)) if (error !== undefined) throw error;
  return performance.now() - started;
}

/** @param size images that are one job */
async function byQueue(queue, files, size) {
  const started = performance.now();
  const jobs = [];
  for (let at = 0; at < files.length; at += size) {
    const some = files.slice(at, at + size);
    jobs.push(inspectJob(size === 1 ? { input: some[0] } : { inputs: some }));
  }
  const ids = [];
  while (ids.length < jobs.length) {
    const some = jobs.slice(ids.length, ids.length + 50);
    ids.push(...(await Promise.all(some.map(async (job) => submit(queue, job)))));
  }
  for (;;) {
    const { waiting, active, failed } = await queue.counts();
    if (failed > 0) throw new Error(`${failed} jobs failed`);
    if (waiting + active === 0) break;
    await sleep(20);
  }
  const time = performance.now() - started;
  const { state } = await queue.status(ids[ids.length - 1]);
  if (state !== 'done') throw new Error(`the last job is ${state}`);
  return time;
}

async function benchUploads(directory, url, count) {
  const kinds = FORMATS.map((format) => {
    const file = join(directory, `kind.${format}`);
    run('qemu-img', 'create', '-q', '-f', format, file, '16M');
    return file;
  });
  const files = Array.from({ length: count }, (_, index) => {
    const file = join(directory, `upload-${index}`);
    copyFileSync(kinds[index % kinds.length], file);
    return file;
  });
  await plainly(files.slice(0, 200));
  const plain = [await plainly(files), await plainly(files)];
  await closePool();
  const queue = await openQueue(url, 'uploads');
  const workers = await startWorkers(url, 'uploads', directory, 2, ['--concurrency', '4']);
  const queued = new Map(JOB_SIZES.map((size) => [size, []]));
  const memory = [];
  try {
    await byQueue(queue, files.slice(0, 200), 1);
    for (let turn = 0; turn < 3; turn += 1) {
      for (const [size, times] of queued) times.push(await byQueue(queue, files, size));
      memory.push(workers.memory());
    }
  } finally {
    await workers.stop();
    await queue.close();
  }
  plain.push(await plainly(files));
  await closePool();
  const one = Math.min(...plain);
  for (const [size, times] of queued) {
    const other = Math.min(...times);
    const ratio = one / other;
    console.log(
      `${count} uploads, ${size} a job: API ${(count / one).toFixed(2)} a ms, queue ${(count / other).toFixed(2)} a ms: ` +
        `${ratio.toFixed(2)} of it, at least ${LEAST_RATIO}: ${ratio >= LEAST_RATIO ? 'met' : 'NOT met'}`,
    );
  }
  console.log(
    `resident set of the workers after each turn (MiB): ${memory.map((each) => each.map(Math.round).join(' and ')).join(', ')}`,
  );
}

async function sumOf(file) {
  const hash = createHash('sha256');
  for await (const bytes of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(bytes);
  return hash.digest('hex');
}

async function benchWindows(directory, url, mebibytes) {
  const [raw, image] = [join(directory, 'disk.raw'), join(directory, 'disk.qcow2')];
  // Text that packs to about a third, all of it different.
  const words = `yes "" | awk -v n=${mebibytes} 'BEGIN{srand(7)} {for(i=0;i<64;i++) printf "%08x %d word of a disk ", rand()*4294967296, NR*64+i; print ""; b+=1600; if (b > n*1048576) exit}' | head -c ${mebibytes}M > ${raw}`;
  run('sh', '-c', words);
  run('qemu-img', 'convert', '-c', '-m', '16', '-W', '-f', 'raw', '-O', 'qcow2', raw, image);
  const expected = await sumOf(raw);
  rmSync(raw);
  const rows = [];
  precede(-12);
  for (const cores of [[0], [0, 1]]) {
    const queue = await openQueue(url, `windows${cores.length}`);
    const records = [];
    let end;
    const ended = new Promise((resolve) => (end = resolve));
    const watch = (job) => {
      records.push({ ...job, at: performance.now() });
      if (job.kind === 'convert' && job.state !== 'spread') end(job);
    };
    const workers = await startWorkers(url, `windows${cores.length}`, directory, cores.length, [], cores, watch);
    const output = join(directory, `out-${cores.length}.raw`);
    try {
      const before = workers.cpu();
      const started = performance.now();
      await submit(queue, { kind: 'convert', input: image, output, windows: WINDOWS });
      // Nobody asks the queue meanwhile: that would take a part of a core.
      const { state, message } = await ended;
      if (state !== 'done') throw new Error(`the job is ${state}: ${message}`);
      const ms = performance.now() - started;
      const cpu = workers.cpu().map((time, index) => time - before[index]);
      rows.push({ ms, cpu, ...serial(records, cores.length) });
    } finally {
      await workers.stop();
      await queue.close();
    }
    if ((await sumOf(output)) !== expected) throw new Error('the output is not the disk');
    rmSync(output);
  }
  precede(0);
  const [one, two] = rows;
  const gain = one.ms / two.ms;
  rows.forEach(({ ms, cpu, plan, finish, idle }, index) =>
    console.log(
      `${index + 1} worker(s): ${(ms / 1000).toFixed(2)} s, ${(mebibytes / (ms / 1000)).toFixed(0)} MiB a second; ` +
        `CPU time ${cpu.map((time) => (time / 1000).toFixed(2)).join(' and ')} s; ` +
        `plan ${plan.toFixed(0)} ms, between windows ${idle.toFixed(0)} ms, finish ${finish.toFixed(0)} ms`,
    ),
  );
  console.log(
    `two workers: ${gain.toFixed(2)} times as fast as one, at least ${LEAST_GAIN}: ${gain >= LEAST_GAIN ? 'met' : 'NOT met'}`,
  );
  // What else runs on the machine takes wall-clock time, and less of this: so much faster two would be with a core each.
  const sum = ({ cpu }) => cpu.reduce((total, time) => total + time, 0);
  console.log(`by CPU time, shared evenly: ${((2 * sum(one)) / sum(two)).toFixed(2)} times`);
}

/**
 * With INSTAR_BENCH_FIRST=1 other sessions of a busy machine get hardly any CPU time for some seconds (sched(7), autogroups; root, and a
 * session of its own: `setsid -w`).
 */
function precede(nice) {
  if (process.env.INSTAR_BENCH_FIRST === '1') writeFileSync('/proc/self/autogroup', String(nice));
}

/** Times of the parts of a job that run alone, and in which a worker had no window between the first one and the last (ms). */
function serial(records, workers) {
  const windows = records.filter(({ kind }) => kind === 'window');
  const begun = Math.min(...windows.map(({ at, elapsedMs }) => at - elapsedMs));
  const over = Math.max(...windows.map(({ at }) => at));
  const busy = windows.reduce((sum, { elapsedMs }) => sum + elapsedMs, 0);
  const elapsed = (state) => records.find((job) => job.kind === 'convert' && job.state === state)?.elapsedMs ?? 0;
  return { plan: elapsed('spread'), finish: elapsed('done'), idle: workers * (over - begun) - busy };
}

/** @param size of the image in windows (MiB) */
export async function benchJobs({ uploads, size }) {
  const directory = mkdtempSync(join(tmpdir(), 'instar-bench-'));
  const redis = await startRedis(directory);
  try {
    if (uploads > 0) await benchUploads(directory, redis.url, uploads);
    if (size > 0) await benchWindows(directory, redis.url, size);
  } finally {
    redis.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}
