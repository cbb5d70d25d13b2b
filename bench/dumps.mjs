// `npm run bench -- dumps`: guest memory dumps against makedumpfile, interleaved in one run. makedumpfile cannot read in a
// flattened stream, it must rearrange it first: that is what reads at random addresses are compared with.
import { mkdtempSync, rmSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeBenchDump } from './dump-file.mjs';
import { INSTAR, timeInterleaved } from './measure.mjs';
import { printTable } from './table.mjs';

const MIB = 1024 * 1024;

/** Measures and prints. @param size MiB of memory in the dump @param directory where files are made */
export async function benchDumps({ runs = 5, size = 1024, directory = tmpdir(), only = '' } = {}) {
  const place = mkdtempSync(join(directory, 'instar-bench-dumps-'));
  const file = (name) => join(place, name);
  try {
    await writeBenchDump(file('dump.elf'), size * MIB);
    // makedumpfile's own flattened stream, with the records that it makes.
    const flatten = `makedumpfile -f -F -l -d 0 ${file('dump.elf')} > ${file('flat')}`;
    const made = spawnSync('bash', ['-c', flatten], { stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8' });
    if (made.status !== 0) throw new Error(`${flatten}: ${made.stderr}`);
    const rows = rowsOf(file).filter(({ name, peer }) =>
      only.split(',').some((word) => `${name}; ${peer};`.includes(word)),
    );
    const measured = rows.map(({ name, peer, mine, theirs, target }) => {
      const outputs = [file('ours'), file('peer')];
      const times = timeInterleaved([mine, theirs], runs, outputs, size * MIB + 512 * MIB);
      if (times.disturbed > 0) {
        console.log(`${name}: other programs used the CPU in ${times.disturbed} of ${runs} turns`);
      }
      return { name, peer, ours: times[0], theirs: times[1], target };
    });
    printTable(measured);
  } finally {
    rmSync(place, { recursive: true });
  }
}

function rowsOf(file) {
  const convert = (codec, threads, output) => [
    ...[...INSTAR, 'vmcore', 'convert', '--to', 'kdump', '--compress', codec],
    ...['--threads', String(threads), file('dump.elf'), file(output)],
  ];
  // Without --num-threads makedumpfile compresses where it reads and writes; with it, N threads compress for it.
  const makedumpfile = (flag, threads) => [
    ...['makedumpfile', '-f', flag, '-d', '0', '--message-level', '0'],
    ...(threads > 0 ? ['--num-threads', String(threads)] : []),
    ...[file('dump.elf'), file('peer')],
  ];
  const packing = [
    ['zlib', '-c'],
    ['lzo', '-l'],
  ].flatMap(([codec, flag]) =>
    [0, 1, 2].map((threads) => ({
      name: `elf → kdump ${codec}, threads: ${Math.max(threads, 1)}`,
      peer: `makedumpfile ${flag}${threads > 0 ? ` --num-threads ${threads}` : ''}`,
      mine: convert(codec, Math.max(threads, 1), 'ours'),
      theirs: makedumpfile(flag, threads),
      target: 1,
    })),
  );
  const rearrange = ['bash', '-c', `makedumpfile -R ${file('peer')} < ${file('flat')}`];
  const reader = fileURLToPath(new URL('random-reads.mjs', import.meta.url));
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
