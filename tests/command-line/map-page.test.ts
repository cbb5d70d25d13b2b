// The page and the picture of a map, in a browser: what it shows is what qemu-img says, names are text, nothing leaves it.
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { instar, program, type Finished } from '../support/command.js';
import { holdImage } from '../support/holder.js';
import { QEMU_IMG, requireJudge, type Judge } from '../support/judge.js';
import { qemuImg, qemuIo } from '../support/qemu-img.js';
import { workdir, type Workdir } from '../support/workdir.js';

const CHROMIUM: Judge = { program: 'chromium', probe: ['--version'], package: 'chromium' };
/** A name that would be markup if it were not escaped. */
const TOP = `top <img src=x onerror=alert(1)>&"'.qcow2`;

function chain(): Workdir {
  const directory = workdir();
  qemuImg('create', '-q', '-f', 'qcow2', 'base.qcow2', '64M').in(directory).must();
  qemuIo('base.qcow2', 'write 0 5M', 'write -z 16M 4M').in(directory).must();
  qemuImg('create', '-q', '-f', 'qcow2', '-b', 'base.qcow2', '-F', 'qcow2', TOP).in(directory).must();
  qemuIo(TOP, 'write 1M 1M', 'write 40M 3M').in(directory).must();
  return directory;
}

/** What a browser makes of a file, and what it says of it. */
function shown(directory: Workdir, name: string): Finished {
  return program(
    'chromium',
    ...['--headless=new', '--no-sandbox', '--disable-gpu'],
    ...['--enable-logging=stderr', `--user-data-dir=${directory.file('profile')}`],
    ...[`--log-net-log=${directory.file('net.json')}`, '--dump-dom'],
    pathToFileURL(directory.file(name)).href,
  ).must();
}

interface Extent {
  readonly length: number;
  readonly data: boolean;
  readonly zero: boolean;
  readonly present: boolean;
}

function bytesOf(extents: readonly Extent[], has: (extent: Extent) => boolean): number {
  return extents.filter(has).reduce((sum, { length }) => sum + length, 0);
}

/** Number of a row of the table of numbers. */
function rowOf(page: string, name: string): number {
  return Number(new RegExp(`<th scope="row">${name}</th><td[^>]*>[^<]*</td><td[^>]*>(\\d+)</td>`).exec(page)?.[1]);
}

describe('the strip of the file', () => {
  const CLUSTER = 65536;

  /** Clusters that are data, one that a table names no more, and one that is taken and not used. */
  function image(): Workdir {
    const directory = workdir();
    qemuImg('create', '-q', '-f', 'qcow2', 'disk.qcow2', '64M').in(directory).must();
    qemuIo('disk.qcow2', 'write 0 5M', 'write 20M 1M', 'discard 2M 1M').in(directory).must();
    // The table of refcounts is named at 48 and names its first block, of two bytes a cluster.
    const bytes = directory.read('disk.qcow2');
    const block = Number(bytes.readBigUInt64BE(Number(bytes.readBigUInt64BE(48))));
    const counts = Array.from({ length: bytes.length / CLUSTER }, (_, index) => bytes.readUInt16BE(block + 2 * index));
    bytes.writeUInt16BE(1, block + 2 * counts.indexOf(0));
    directory.write('disk.qcow2', bytes);
    return directory;
  }

  it('tells header, tables, data, leaked and free bytes apart, as many as qemu-img counts', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = image();
    const page = instar('map', '--html', '-', 'disk.qcow2').in(directory).must().stdout;
    const judged = JSON.parse(qemuImg('check', '--output=json', 'disk.qcow2').in(directory).run().stdout) as {
      readonly leaks: number;
      readonly 'allocated-clusters': number;
    };
    const length = directory.read('disk.qcow2').length;
    const [header, tables, data, leaked, free] = ['header', 'tables', 'data', 'leaked', 'free'].map((use) =>
      rowOf(page, `${use} in the file`),
    );
    expect(judged.leaks).toBe(1);
    expect(leaked).toBe(judged.leaks * CLUSTER);
    expect(data).toBe(judged['allocated-clusters'] * CLUSTER);
    expect(header).toBe(CLUSTER);
    // The table of refcounts and its block, L1 and one L2.
    expect(tables).toBe(4 * CLUSTER);
    expect(free).toBe(length - (header ?? 0) - (tables ?? 0) - (data ?? 0) - CLUSTER);
    expect(page.match(/<rect class="leaked"/g)?.length).toBeGreaterThan(1);
  });

  it('is drawn in a terminal too, and has no uses where an image does not tell them', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = image();
    const lines = instar('map', '--plot', 'disk.qcow2').in(directory).must().stdout.split('\n');
    expect(lines[3]).toMatch(/^\[#▒+█+[█·!]*\]$/);
    expect(lines[5]).toMatch(/^█ data 5 MiB {3}▒ tables 256 KiB {3}# header 64 KiB {3}! leaked 64 KiB/);
    qemuImg('create', '-q', '-f', 'vdi', 'disk.vdi', '64M').in(directory).must();
    expect(instar('map', '--plot', 'disk.vdi').in(directory).must().stdout.split('\n')).toHaveLength(4);
  });
});

describe('instar map --html', () => {
  it(
    'is one page that says what qemu-img says, with names as text, and asks for nothing',
    { timeout: 90_000 },
    (context) => {
      requireJudge(context, QEMU_IMG);
      requireJudge(context, CHROMIUM);
      const directory = chain();
      instar('map', '--html', 'map.html', TOP).in(directory).must();
      const { stdout: dom, stderr } = shown(directory, 'map.html');

      const map = JSON.parse(qemuImg('map', '--output=json', TOP).in(directory).must().stdout) as readonly Extent[];
      const row = (name: string): number => rowOf(dom, name);
      expect(row('data')).toBe(bytesOf(map, ({ data, zero }) => data && !zero));
      expect(row('zeros')).toBe(bytesOf(map, ({ zero, present }) => zero && present));
      expect(row('not allocated')).toBe(bytesOf(map, ({ present }) => !present));
      expect(row('disk')).toBe(64 << 20);

      expect(dom).not.toMatch(/<(?:img|script|link|iframe|object)\b/);
      expect(dom).toContain('<h1>top &lt;img src=x onerror=alert(1)&gt;&amp;');
      expect(dom).toContain('backing-file: fail');
      // Its policy lets its own style in, and nothing is asked of anybody.
      expect(stderr).not.toContain('Content Security Policy');
      const requests = readFileSync(directory.file('net.json'), 'utf8').match(/"url":"https?:[^"]*map[^"]*"/g);
      expect(requests).toBeNull();
      expect(readFileSync(directory.file('map.html'), 'utf8')).not.toMatch(/(?:https?:)?\/\/\w/);
    },
  );

  it('forbids every style but its own', { timeout: 90_000 }, (context) => {
    requireJudge(context, CHROMIUM);
    const directory = workdir().write('disk.raw', Buffer.alloc(65536, 1));
    const page = instar('map', '--html', '-', 'disk.raw').in(directory).must().stdout;
    directory.write('changed.html', page.replace('<style>', '<style>body{display:none}'));
    expect(shown(directory, 'changed.html').stderr).toContain('Content Security Policy');
  });

  it('leaves an output as it was when the image is refused, and never replaces the image', () => {
    const directory = workdir().write('disk.raw', Buffer.alloc(512, 1)).write('map.html', 'before');
    const missing = instar('map', '--html', 'map.html', 'missing').in(directory).run();
    expect(missing).toMatchObject({ status: 1, stdout: '' });
    expect(directory.read('map.html').toString()).toBe('before');
    const own = instar('map', '--svg', 'disk.raw', 'disk.raw').in(directory).run();
    expect(own.status).toBe(1);
    expect(own.stderr).toMatch(/^instar: map: [^\n]+\n$/);
    expect(directory.read('disk.raw').equals(Buffer.alloc(512, 1))).toBe(true);
    // Nor an image below it, whatever may be shared.
    directory.write('base.raw', Buffer.alloc(512, 2));
    instar('create', '-q', '-f', 'qcow2', '-b', 'base.raw', '-F', 'raw', 'top.qcow2').in(directory).must();
    for (const picture of ['--html', '--svg']) {
      const below = instar('map', '-U', picture, 'base.raw', 'top.qcow2').in(directory).run();
      expect([below.status, below.stderr]).toEqual([1, expect.stringContaining('is also an input')]);
      expect(directory.read('base.raw').equals(Buffer.alloc(512, 2))).toBe(true);
    }
    const range = instar('map', '--html', 'x.html', '-s', '512', 'disk.raw').in(directory).run();
    expect(range.stderr).toContain('leave -s, -l and --json out');
  });
});

it('instar map --svg is a picture that a browser takes', { timeout: 90_000 }, (context) => {
  requireJudge(context, QEMU_IMG);
  requireJudge(context, CHROMIUM);
  const directory = chain();
  instar('map', '--svg', 'map.svg', TOP).in(directory).must();
  const { stdout: dom } = shown(directory, 'map.svg');
  expect(dom).not.toContain('parsererror');
  expect(dom.match(/<rect /g)?.length).toBeGreaterThan(1500);
});

it('instar map --plot draws the disk as one line', (context) => {
  requireJudge(context, QEMU_IMG);
  const directory = workdir();
  qemuImg('create', '-q', '-f', 'qcow2', 'disk.qcow2', '78M').in(directory).must();
  qemuIo('disk.qcow2', 'write 0 10M', 'write -z 20M 10M').in(directory).must();
  const [line = '', , key] = instar('map', '--plot', 'disk.qcow2').in(directory).must().stdout.split('\n');
  expect(line).toBe(`[${'█'.repeat(10)}${'·'.repeat(10)}${'░'.repeat(10)}${'·'.repeat(48)}]`);
  expect(key).toBe('█ data 10 MiB   ░ zero 10 MiB   · unallocated 58 MiB');
});

it('is not advised to take a file that is in use with an option that says how images are read', async (context) => {
  requireJudge(context, QEMU_IMG);
  const directory = workdir();
  for (const name of ['disk', 'used']) qemuImg('create', '-q', '-f', 'qcow2', name, '1M').in(directory).must();
  await holdImage(directory, 'used');
  const before = directory.digests();
  for (const flags of [[], ['-U']]) {
    const refused = instar('map', ...flags, '--html', 'used', 'disk')
      .in(directory)
      .run();
    expect([refused.status, refused.stderr]).toEqual([1, expect.stringMatching(/used: .*another process.*\n$/)]);
    expect(refused.stderr).not.toContain('-U');
  }
  expect(directory.digests()).toEqual(before);
});
