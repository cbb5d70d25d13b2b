// Keeps what V8 compiles of the commands that are started most, so that their starts need not: it takes a quarter of one.
// Each command line is run by the node that runs this, and by each whose path `INSTAR_NODES` names (with `:` between them:
// what is published serves several versions); what was compiled until its end is written into `dist/compiled`, in a folder
// of its V8.
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const keep = fileURLToPath(new URL('keep-compiled.cjs', import.meta.url));
const program = fileURLToPath(new URL('../bin/instar.js', import.meta.url));
const nodes = [process.execPath, ...(process.env.INSTAR_NODES ?? '').split(':').filter((path) => path !== '')];
const folder = await mkdtemp(join(tmpdir(), 'instar-compile-'));
const run = promisify(execFile);

// An image, then what reads it.
const FIRST = ['create -f qcow2 disk.qcow2 1M'];
const LINES = [
  'info disk.qcow2',
  'dd if=disk.qcow2 of=disk.raw bs=64k count=4',
  'convert -O qcow2 disk.qcow2 copy.qcow2',
  'check disk.qcow2',
  'map disk.qcow2',
  'measure -O qcow2 disk.qcow2',
  'compare disk.qcow2 disk.qcow2',
];

async function compile(node, line) {
  try {
    await run(node, ['--require', keep, program, ...line.split(' ')], { cwd: folder });
  } catch (error) {
    // Where no guest can run nothing is kept, and the command is compiled when it starts, as the others are.
    console.log(`not compiled ahead: ${line}: ${String(error.stderr ?? error).split('\n')[0]}`);
  }
}

try {
  // What was compiled of another build may have other modules.
  await rm(new URL('../dist/compiled', import.meta.url), { recursive: true, force: true });
  for (const node of nodes) {
    for (const line of FIRST) await compile(node, line);
    await Promise.all(LINES.map((line) => compile(node, line)));
  }
} finally {
  await rm(folder, { recursive: true });
}
