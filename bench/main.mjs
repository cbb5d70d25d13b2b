// `npm run bench`: ratios of instar against qemu-img, cp and coreutils dd, interleaved in one run, so that they hold when
// the machine's speed drifts, with warm memory and without the turns in which other programs ran. Absolute times are shown
// for orientation only.
import { parseArgs } from 'node:util';
import { prepareImages, removeImages } from './images.mjs';
import { INSTAR, medianOf, timeInterleaved, peakMemory } from './measure.mjs';
import { printTable } from './table.mjs';

const { values } = parseArgs({
  options: {
    size: { type: 'string', default: '1024' },
    small: { type: 'string', default: '64' },
    runs: { type: 'string', default: '5' },
    only: { type: 'string', default: '' },
    dir: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) {
  console.log(`Usage: npm run bench -- [--size MIB] [--small MIB] [--runs N] [--only WORD] [--dir DIRECTORY]

--size   MiB of the images (default 1024)
--small  MiB that the rows with bs=512 copy (default 64)
--runs   runs of each command (default 5); medians are compared
--only   rows whose name contains the word
--dir    where the images are made (default: a new directory in the system's temporary directory)`);
  process.exit(0);
}

const MIB = 1024 * 1024;
const size = Number(values.size) * MIB;
const small = Number(values.small) * MIB;
const runs = Number(values.runs);
const images = prepareImages({ size, directory: values.dir });
const { file } = images;

const ours = (input, operands) => [...INSTAR, 'dd', `if=${file(input)}`, `of=${file('out.raw')}`, ...operands];
const theirs = (input, operands) => ['qemu-img', 'dd', `if=${file(input)}`, `of=${file('peer.raw')}`, ...operands];
const blocks = [`bs=512`, `count=${small / 512}`];
const format = (name) => (name.endsWith('.raw') ? ['-f', 'raw'] : ['-f', 'qcow2']);

/** Rows against qemu-img: name, input, operands, least ratio of its time to ours. */
const PEER_ROWS = [
  ['raw → raw, bs=512', 'disk.raw', blocks, 50],
  ['raw → raw, bs=1M', 'disk.raw', ['bs=1M'], 1.5],
  ['qcow2 → raw, bs=512', 'disk.qcow2', blocks, 50],
  ['qcow2 → raw, bs=1M', 'disk.qcow2', ['bs=1M'], 2],
  ['qcow2 zlib → raw, bs=1M', 'zlib.qcow2', ['bs=1M'], 1.2],
  ['qcow2 zstd → raw, bs=1M', 'zstd.qcow2', ['bs=1M'], 1.2],
];

const wanted = (name) => name.includes(values.only);
const rows = [];

/** Memory that a run takes at most: its output in the page cache, and room for the programs. */
const warm = size + 512 * MIB;

function measure(name, commands, count, outputs) {
  const times = timeInterleaved(commands, count, outputs, warm);
  if (times.disturbed > 0) console.log(`${name}: other programs used the CPU in ${times.disturbed} of ${count} turns`);
  return times;
}

for (const [name, input, operands, target] of PEER_ROWS) {
  if (!wanted(name)) continue;
  const count = name.includes('512') ? Math.min(runs, 3) : runs;
  const [mine, peer] = measure(
    name,
    [ours(input, [...operands, ...format(input)]), theirs(input, [...operands, ...format(input)])],
    count,
    [file('out.raw'), file('peer.raw')],
  );
  rows.push({ name, peer: 'qemu-img dd', ours: mine, theirs: peer, target });
}

if (wanted('copy')) {
  const commands = [
    ours('disk.raw', ['bs=1M', '-f', 'raw']),
    ['cp', '--reflink=never', '--sparse=never', file('disk.raw'), file('peer.raw')],
    ['dd', `if=${file('disk.raw')}`, `of=${file('peer.raw')}`, 'bs=1M', 'status=none'],
  ];
  const [mine, cp, dd] = measure('raw copy', commands, runs, [file('out.raw'), file('peer.raw')]);
  rows.push({ name: 'raw copy, bs=1M', peer: 'cp', ours: mine, theirs: cp });
  rows.push({ name: 'raw copy, bs=1M', peer: 'coreutils dd', ours: mine, theirs: dd });
}

for (const [name, input] of [
  ['sandboxes, raw', 'disk.raw'],
  ['sandboxes, qcow2', 'disk.qcow2'],
  ['sandboxes, zlib', 'zlib.qcow2'],
  ['sandboxes, zstd', 'zstd.qcow2'],
]) {
  if (!wanted(name)) continue;
  const command = (kind) => ours(input, ['bs=1M', ...format(input), `--sandbox=${kind}`]);
  const [kvm, confined] = measure(name, [command('kvm'), command('process')], runs, [file('out.raw')]);
  const apart = Math.max(medianOf(kvm) / medianOf(confined), medianOf(confined) / medianOf(kvm));
  rows.push({ name, peer: 'process sandbox', ours: kvm, theirs: confined, apart, most: 1.3 });
}

if (wanted('start')) {
  const commands = [ours('disk.qcow2', ['count=0']), ['node', '-e', '0'], ['qemu-img', 'info', file('disk.qcow2')]];
  const [mine, node, info] = measure('start', commands, runs * 3, [file('out.raw')]);
  const above = medianOf(mine) - medianOf(node);
  rows.push({ name: 'start (dd count=0)', peer: 'node -e 0', ours: mine, theirs: node, above, most: 60 });
  rows.push({ name: 'start (dd count=0)', peer: 'qemu-img info', ours: mine, theirs: info });
}

printTable(rows);

if (wanted('memory')) {
  console.log('\nPeak memory of windows of 1 GiB in a 1 TiB image (most: 256 MiB)');
  for (const [place, skip] of images.farWindows) {
    const operands = ['bs=1M', `skip=${skip}`, `count=${skip + 1024}`, '-f', 'qcow2'];
    const bytes = await peakMemory(ours('huge.qcow2', operands));
    console.log(`  ${place.padEnd(8)} ${(bytes / MIB).toFixed(0)} MiB`);
  }
}

removeImages(images);
