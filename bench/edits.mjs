// `npm run bench -- edits`: commands that change images, beside qemu-img, each on an image of its own that is made anew before
// each run. What both programs need to start is measured beside them and taken off.
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { INSTAR, medianOf } from './measure.mjs';

const PROGRAMS = { ours: INSTAR, theirs: ['qemu-img'] };

function must(program, ...args) {
  const { status, stderr, error } = spawnSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'ignore', 'pipe'] });
  if (error) throw error;
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} exited with ${status}: ${stderr}`);
}

const qemuImg = (...args) => must('qemu-img', ...args);

/** What is measured: a name, how its files are made, and the command's words. Files are named from a folder on. */
function rowsOf(mib) {
  const large = (file) => qemuImg('create', '-q', '-f', 'qcow2', '-o', 'preallocation=metadata', file, '100G');
  const filled = (file, pattern, options = []) => {
    qemuImg('create', '-q', '-f', 'qcow2', ...options, file, `${mib}M`);
    must('qemu-io', '-f', 'qcow2', '-c', `write -q -P ${pattern} 0 ${mib}M`, file);
  };
  const chain = (at) => {
    filled(at('base'), 1);
    filled(at('top'), 2, ['-b', at('base'), '-F', 'qcow2']);
  };
  return [
    ['snapshot -c, 100 GiB', (at) => large(at('disk')), (at) => ['snapshot', '-c', 'one', at('disk')]],
    [
      'snapshot -d, 100 GiB',
      (at) => {
        large(at('disk'));
        qemuImg('snapshot', '-c', 'one', at('disk'));
      },
      (at) => ['snapshot', '-d', 'one', at('disk')],
    ],
    ['resize +10G, 100 GiB', (at) => large(at('disk')), (at) => ['resize', '-q', at('disk'), '+10G']],
    [`commit ${mib} MiB over data`, chain, (at) => ['commit', '-q', at('top')]],
    [
      `commit ${mib} MiB into nothing`,
      (at) => {
        qemuImg('create', '-q', '-f', 'qcow2', at('base'), `${mib}M`);
        filled(at('top'), 2, ['-b', at('base'), '-F', 'qcow2']);
      },
      (at) => ['commit', '-q', at('top')],
    ],
    [
      `rebase of ${mib / 4} MiB that differ`,
      (at) => {
        filled(at('base'), 1);
        copyFileSync(at('base'), at('other'));
        must('qemu-io', '-f', 'qcow2', '-c', `write -q -P 3 0 ${mib / 4}M`, at('other'));
        qemuImg('create', '-q', '-f', 'qcow2', '-b', at('base'), '-F', 'qcow2', at('top'));
      },
      (at) => ['rebase', '-b', at('other'), '-F', 'qcow2', at('top')],
    ],
    [
      'start (snapshot -l)',
      (at) => qemuImg('create', '-q', '-f', 'qcow2', at('disk'), '1M'),
      (at) => ['snapshot', '-l', at('disk')],
    ],
  ];
}

function timeOnce([program, ...args]) {
  const start = performance.now();
  must(program, ...args);
  return performance.now() - start;
}

/** Measures and prints. @param runs of each command @param size MiB of what is committed */
export function benchEdits({ runs = 5, size = 1024 } = {}) {
  delete process.env.NODE_EXTRA_CA_CERTS;
  const measured = rowsOf(size).map(([name, prepare, words]) => {
    const times = { ours: [], theirs: [] };
    for (let turn = 0; turn < runs; turn += 1) {
      const programs = Object.entries(PROGRAMS);
      for (const [who, program] of turn % 2 === 0 ? programs : programs.reverse()) {
        const place = mkdtempSync(join(tmpdir(), 'instar-bench-edits-'));
        const at = (file) => join(place, file);
        try {
          prepare(at);
          // What was prepared is on the disk: neither program writes it.
          must('sync');
          times[who].push(timeOnce([...program, ...words(at)]));
        } finally {
          rmSync(place, { recursive: true });
        }
      }
    }
    return { name, ours: medianOf(times.ours), theirs: medianOf(times.theirs) };
  });
  const start = measured.at(-1);
  for (const { name, ours, theirs } of measured) {
    const [mine, peer] = [ours - start.ours, theirs - start.theirs];
    const verdict = name === start.name ? '' : `, ${(peer / mine).toFixed(2)}× without the start`;
    console.log(`${name}: ${ours.toFixed(0)} ms, qemu-img ${theirs.toFixed(0)} ms${verdict}`);
  }
}
