// `npm run bench`: ratios of instar against qemu-img, cp and coreutils dd, interleaved in one run, so that they hold when
// the machine's speed drifts, with warm memory and without the turns in which other programs ran. Absolute times are shown
// for orientation only.
import { parseArgs } from 'node:util';
import { prepareImages } from './images.mjs';
import { INSTAR, medianOf, timeInterleaved, peakMemory } from './measure.mjs';
import { CONVERT_ROWS, ddRows } from './peer-rows.mjs';
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
const { file, image } = images;

const ours = (input, operands) => [...INSTAR, 'dd', `if=${image(input)}`, `of=${file('out.raw')}`, ...operands];
const theirs = (input, operands) => ['qemu-img', 'dd', `if=${image(input)}`, `of=${file('peer.raw')}`, ...operands];
const format = (name) => (name.endsWith('.raw') ? ['-f', 'raw'] : ['-f', 'qcow2']);

const wanted = (name) => name.includes(values.only);
const rows = [];

/** Memory that a run takes at most: its output in the page cache, and room for the programs. */
const warm = size + 512 * MIB;

function measure(name, commands, count, outputs) {
  const times = timeInterleaved(commands, count, outputs, warm);
  if (times.disturbed > 0) console.log(`${name}: other programs used the CPU in ${times.disturbed} of ${count} turns`);
  return times;
}

for (const [name, input, format, operands, target] of ddRows(small)) {
  if (!wanted(name)) continue;
  const count = name.includes('512') ? Math.min(runs, 3) : runs;
  const tokens = [...operands, '-f', format];
  const commands = [ours(input, tokens), theirs(input, tokens)];
  const [mine, peer] = measure(name, commands, count, [file('out.raw'), file('peer.raw')]);
  rows.push({ name, peer: 'qemu-img dd', ours: mine, theirs: peer, target });
}

for (const [name, input, tokens, target] of CONVERT_ROWS) {
  if (!wanted(name)) continue;
  const outputs = [file('out'), file('peer')];
  const commands = [INSTAR, ['qemu-img']].map((program, index) => [
    ...program,
    'convert',
    ...tokens,
    image(input),
    outputs[index],
  ]);
  // qemu-img packs 1 GiB by zlib for a quarter of a minute.
  const [mine, peer] = measure(name, commands, tokens.includes('-c') ? Math.min(runs, 3) : runs, outputs);
  rows.push({ name, peer: 'qemu-img convert', ours: mine, theirs: peer, target });
}

if (wanted('copy')) {
  const commands = [
    ours('disk.raw', ['bs=1M', '-f', 'raw']),
    ['cp', '--reflink=never', '--sparse=never', image('disk.raw'), file('peer.raw')],
    ['dd', `if=${image('disk.raw')}`, `of=${file('peer.raw')}`, 'bs=1M', 'status=none'],
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
  const commands = [ours('disk.qcow2', ['count=0']), ['node', '-e', '0'], ['qemu-img', 'info', image('disk.qcow2')]];
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

images.remove();
