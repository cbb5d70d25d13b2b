// `npm run bench`: hands over to the benchmark in bench/ once there is one. `npm run bench -- layouts [RUNS]` compares the
// codecs of the layout language with other packages (bench/layouts.mjs), by default 15 times.
import { existsSync } from 'node:fs';

const [what, runs = '15'] = process.argv.slice(2);
const main = new URL('../bench/main.mjs', import.meta.url);
if (what === 'layouts') {
  const { benchLayouts, printLayouts } = await import('../bench/layouts.mjs');
  printLayouts(benchLayouts(Number(runs)));
} else if (existsSync(main)) {
  if (what === '--help')
    console.log('npm run bench -- layouts [RUNS]: codecs beside other packages for binary structs\n');
  await import(main.href);
} else {
  console.error('bench: there is no benchmark in this tree yet (bench/main.mjs).');
  process.exitCode = 1;
}
