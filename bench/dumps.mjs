// `npm run bench -- dumps`: guest memory dumps against makedumpfile, interleaved in one run; each row is printed when it is
// measured. makedumpfile cannot read in a flattened stream, it must rearrange it first: that is what reads at random
// addresses are compared with.
import { mkdtempSync, rmSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeBenchDump } from './dump-file.mjs';
import { INSTAR, medianOf, timeInterleaved } from './measure.mjs';
import { startTable } from './table.mjs';

const MIB = 1024 * 1024;
/** MiB up to which the kernel's own structures are. */
const LEAST = 128;

/**
 * Measures and prints.
 * @param size MiB of memory in the dump
 * @param large MiB of memory in the dump whose log is read
 * @param only rows with one of these words, between commas
 * @param directory where files are made
 */
export async function benchDumps({ runs = 5, size = 256, large = 5120, directory = tmpdir(), only = '' } = {}) {
  if (!(Math.min(size, large) >= LEAST)) throw new RangeError(`a dump has at least ${LEAST} MiB`);
  const place = mkdtempSync(join(directory, 'instar-bench-dumps-'));
  const file = (name) => join(place, name);
  const warm = size * MIB + 512 * MIB;
  try {
    await writeBenchDump(file('dump.elf'), size * MIB);
    await writeBenchDump(file('large.kdump'), large * MIB, { format: 'kdump', sparse: true });
    // makedumpfile's own flattened stream, with the records that it makes.
    const flatten = `makedumpfile -f -F -l -d 0 ${file('dump.elf')} > ${file('flat')}`;
    const made = spawnSync('bash', ['-c', flatten], { stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8' });
    if (made.status !== 0) console.log(`${flatten}: ${made.stderr ?? made.error}: rows of it will fail`);
    const rows = rowsOf(file, large).filter(({ name, peer }) =>
      only.split(',').some((word) => `${name}; ${peer};`.includes(word)),
    );
    console.log(`${size} MiB of memory, ${runs} runs of each\n`);
    const print = startTable(rows);
    const outputs = [file('ours'), file('peer')];
    for (const row of rows) {
      const [times, remarks] = measure(row, runs, outputs, warm);
      if (times !== undefined) print(judged(row, times));
      for (const remark of remarks) console.log(`  ${row.name}: ${remark}`);
    }
  } finally {
    rmSync(place, { recursive: true });
  }
}

/** Times of both commands; a peer that fails is left out, and its last words are told. */
function measure({ mine, theirs }, runs, outputs, warm) {
  const disturbed = (times) =>
    times.disturbed > 0 ? [`other programs used the CPU in ${times.disturbed} of ${runs} turns`] : [];
  try {
    const times = timeInterleaved([mine, theirs], runs, outputs, warm);
    return [times, disturbed(times)];
  } catch (error) {
    const [command = '', ...words] = String(error.message).trim().split('\n');
    const problem = `failed: ${words.at(-1) ?? command}`;
    try {
      const times = timeInterleaved([mine], runs, outputs, warm);
      return [
        [times[0], []],
        [problem, ...disturbed(times)],
      ];
    } catch {
      return [undefined, [problem]];
    }
  }
}

/** A row with its times. `most` is how much longer we may take than the peer (ms). */
function judged({ name, peer, target, most }, [ours, theirs]) {
  const above = most === undefined || theirs.length === 0 ? undefined : medianOf(ours) - medianOf(theirs);
  return { name, peer, ours, theirs, target, above, most };
}

function rowsOf(file, large) {
  const convert = (codec, threads, output) => [
    ...[...INSTAR, 'vmcore', 'convert', '--to', 'kdump', '--compress', codec],
    ...['--threads', String(threads), file('dump.elf'), file(output)],
  ];
  // Without --num-threads makedumpfile compresses where it reads and writes; with it, N threads compress for it.
  const makedumpfile = (flag, threads, level = 0) => [
    ...['makedumpfile', '-f', flag, '-d', String(level), '--message-level', '0'],
    ...(threads > 0 ? ['--num-threads', String(threads)] : []),
    ...[file('dump.elf'), file('peer')],
  ];
  // Threads of ours and of theirs, and how many times faster we are to be.
  const packing = [
    ['zlib', '-c', 1, 0, 1],
    ['zlib', '-c', 2, 0, 6],
    ['zlib', '-c', 2, 2, 1],
    ['lzo', '-l', 1, 0, 1],
    ['lzo', '-l', 2, 2, 1],
  ].map(([codec, flag, mine, theirs, target]) => ({
    name: `elf → kdump ${codec}, threads: ${mine}`,
    peer: `makedumpfile ${flag}${theirs > 0 ? ` --num-threads ${theirs}` : ''}`,
    mine: convert(codec, mine, 'ours'),
    theirs: makedumpfile(flag, theirs),
    target,
  }));
  const rearrange = ['bash', '-c', `makedumpfile -R ${file('peer')} < ${file('flat')}`];
  const reader = fileURLToPath(new URL('random-reads.mjs', import.meta.url));
  const log = [...INSTAR, 'vmcore', 'dmesg', file('large.kdump')];
  const filtered = ['vmcore', 'filter', '--exclude', '31', '--to', 'kdump', '--compress', 'zlib'];
  return [
    ...packing,
    {
      name: 'elf → kdump zstd, threads: 1',
      peer: 'our zlib',
      mine: convert('zstd', 1, 'ours'),
      theirs: convert('zlib', 1, 'peer'),
      target: 2,
    },
    {
      name: 'filter --exclude 31',
      peer: 'makedumpfile -c -d 31',
      mine: [...INSTAR, ...filtered, file('dump.elf'), file('ours')],
      theirs: makedumpfile('-c', 0, 31),
      target: 1,
    },
    {
      name: `dmesg of ${large} MiB`,
      peer: 'instar vmcore --help',
      mine: log,
      theirs: [...INSTAR, 'vmcore', '--help'],
      most: 300,
    },
    {
      name: `dmesg of ${large} MiB`,
      peer: 'makedumpfile --dump-dmesg',
      mine: log,
      theirs: ['makedumpfile', '-f', '--dump-dmesg', file('large.kdump'), file('peer')],
    },
    {
      name: '1000 random reads, flattened',
      peer: 'makedumpfile -R',
      mine: [process.execPath, reader, file('flat'), '1000'],
      theirs: rearrange,
      target: 1,
    },
    {
      name: 'unflatten',
      peer: 'makedumpfile -R',
      mine: [...INSTAR, 'vmcore', 'unflatten', file('flat'), file('ours')],
      theirs: rearrange,
      target: 1,
    },
  ];
}
