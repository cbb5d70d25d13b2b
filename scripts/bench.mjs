// `npm run bench`: hands over to the benchmark in bench/ once there is one.
import { existsSync } from 'node:fs';

const main = new URL('../bench/main.mjs', import.meta.url);
if (existsSync(main)) {
  await import(main.href);
} else {
  console.error('bench: there is no benchmark in this tree yet (bench/main.mjs).');
  process.exitCode = 1;
}
