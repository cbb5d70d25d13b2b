// `npm run bench`: hands over to the benchmark in bench/ once there is one. `npm run bench -- layouts [RUNS]` compares the
// codecs of the layout language with other packages (bench/layouts.mjs), by default 15 times; `npm run bench -- dumps
// [RUNS [MIB [WORD [MIB]]]]` compares guest memory dumps with makedumpfile (bench/dumps.mjs), by default 3 times; `npm run bench -- fast [RUNS [CALLS]]`
// measures calls of the API, many images at once and the start of the command (bench/fast.mjs), by default 9 times.
// `npm run bench -- edits [RUNS [MIB]]` measures commands that change images (bench/edits.mjs), by default 5 times with 1024 MiB.
// `npm run bench -- jobs [UPLOADS [MIB]]` measures jobs of a queue (bench/jobs.mjs), by default 2000 uploads and 4096 MiB.
import { existsSync } from 'node:fs';

import { pathOfMachine } from './path-of-machine.mjs';

process.env.PATH = pathOfMachine(process.env.PATH);

const [what, runs, size = '256', only = '', large = '5120'] = process.argv.slice(2);
const main = new URL('../bench/main.mjs', import.meta.url);
if (what === 'layouts') {
  const { benchLayouts, printLayouts } = await import('../bench/layouts.mjs');
  printLayouts(benchLayouts(Number(runs ?? 15)));
} else if (what === 'dumps') {
  const { benchDumps } = await import('../bench/dumps.mjs');
  await benchDumps({ runs: Number(runs ?? 3), size: Number(size), only, large: Number(large) });
} else if (what === 'fast') {
  const { benchFast } = await import('../bench/fast.mjs');
  await benchFast({ runs: Number(runs ?? 9), calls: Number(process.argv[4] ?? 10_000) });
} else if (what === 'edits') {
  const { benchEdits } = await import('../bench/edits.mjs');
  benchEdits({ runs: Number(runs ?? 5), size: Number(process.argv[4] ?? 1024) });
} else if (what === 'jobs') {
  const { benchJobs } = await import('../bench/jobs.mjs');
  await benchJobs({ uploads: Number(runs ?? 2000), size: Number(process.argv[4] ?? 4096) });
} else if (existsSync(main)) {
  if (what === '--help')
    console.log(
      'npm run bench -- layouts [RUNS]: codecs beside other packages for binary structs\n' +
        'npm run bench -- dumps [RUNS [MIB [WORD [MIB]]]]: guest memory dumps beside makedumpfile, of 256 MiB; rows with WORD;\n' +
        '  the log of a dump of the last MIB (5120)\n' +
        'npm run bench -- fast [RUNS [CALLS]]: calls of the API, many images at once, the start of the command\n' +
        'npm run bench -- edits [RUNS [MIB]]: commands that change images beside qemu-img; what is committed has so many MiB (1024)\n' +
        'npm run bench -- jobs [UPLOADS [MIB]]: small uploads through a queue, and an image in windows by one and two workers\n',
    );
  await import(main.href);
} else {
  console.error('bench: there is no benchmark in this tree yet (bench/main.mjs).');
  process.exitCode = 1;
}
