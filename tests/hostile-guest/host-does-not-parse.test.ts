// The host never interprets what an image's author could have chosen: no code in it could, and no code in it does.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { SandboxKind } from '@instar/vmm-native';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { COMMANDS } from '../../packages/cli/src/commands/names.js';
import { instar, program, ROOT } from '../support/command.js';
import { QEMU_IMG, requireJudge, skipLoudly, STRACE } from '../support/judge.js';
import { workdir, type Workdir } from '../support/workdir.js';
import { requireSandbox, SANDBOXES } from './scene.js';

/** Crates that the addon may be made of. One that reads formats, decompresses or deciphers would have no reason. */
const CRATES: Readonly<Record<string, readonly string[]>> = {
  'our own': ['instar-abi', 'instar-addon', 'instar-env-hook', 'instar-vmm'],
  'checksums of the undo log': ['crc32c'],
  'system calls and KVM': ['libc', 'bitflags', 'kvm-bindings', 'kvm-ioctls', 'seccompiler', 'vmm-sys-util'],
  'Node-API': ['napi', 'napi-derive', 'napi-derive-backend', 'napi-sys', 'ctor', 'libloading', 'nohash-hasher'],
  'what Node-API’s bindings stand on': [
    ...['cfg-if', 'futures', 'futures-channel', 'futures-core', 'futures-executor', 'futures-io', 'futures-macro'],
    ...['futures-sink', 'futures-task', 'futures-util', 'memchr', 'pin-project-lite', 'rustc-hash', 'slab'],
  ],
  'macros, which run while it is compiled': [
    ...['convert_case', 'proc-macro2', 'quote', 'semver', 'syn', 'unicode-ident', 'unicode-segmentation'],
  ],
};

/** Names by which JavaScript reads bytes of files. */
const READERS = new Set([
  ...['read', 'readSync', 'readv', 'readvSync', 'readFile', 'readFileSync', 'readLines', 'readableWebStream'],
  ...['createReadStream', 'ReadStream', 'openAsBlob', 'stdin', 'pipeline', 'arrayBuffer'],
]);

/** Modules that could bring bytes of files in another way are not among these. */
const MODULES = new Set([
  ...['node:events', 'node:fs', 'node:fs/promises', 'node:module', 'node:os', 'node:path', 'node:util', 'node:stream'],
  'node:url',
  ...[
    '@instar/convert-guest',
    '@instar/engine',
    '@instar/engine/prepare',
    '@instar/layout',
    '@instar/operands',
    '@instar/shared-abi',
    '@instar/vmm-native',
  ],
  ...['@instar/host-files', '@instar/host-files/text', '@instar/vmm-native/errno', 'valibot'],
  ...['commander', 'picocolors', 'cli-progress'],
]);

/** The uses of a reader that there are, and why none of them sees an image. */
const ALLOWED: Readonly<Record<string, string>> = {
  'packages/engine/src/sandbox.ts: readFileSync': 'reads the guest image, which is part of the package',
  'packages/cli/src/main.ts: readFileSync': 'reads its own package.json for --version',
  // `instar abi` is a program of its own, which dd and info do not load (see below).
  'packages/cli/src/commands/abi/source.ts: createReadStream':
    'reads layouts that the user names, and the file whose fields are to be printed',
  // So is `instar vmcore`, which reads dumps.
  'packages/cli/src/commands/vmcore.ts: read': 'is the name of a command',
  'packages/cli/src/commands/vmcore/read.ts: read': 'reads memory out of a dump',
  'packages/cli/src/commands/vmcore/rearrange.ts: stdin': 'reads dumps',
  'packages/cli/src/commands/secrets.ts: read': 'reads the file with a passphrase that the user names',
  'packages/cli/src/commands/secrets.ts: readSync': 'the same',
  'packages/cli/src/commands/vmcore/flags.ts: stdin': 'reads dumps',
  'packages/cli/src/commands/vmcore/raw-memory.ts: read': 'reads dumps',
  'packages/cli/src/commands/vmcore/raw-memory.ts: readFile': 'reads the note that a user names for a dump',
  'packages/cli/src/commands/info.ts: stdin': 'reads names of images (--stdin0)',
  'packages/cli/src/exact-arguments.ts: readFileSync': 'reads its own command line in /proc',
  'packages/cli/src/process/start.ts: readFileSync': 'reads the state of its own process in /proc',
  'packages/cli/src/process/compiled.ts: readFileSync': 'reads modules of the program, and what was compiled of them',
  'packages/engine/src/dump-memory.ts: readFile': 'names the place of dumps in memory',
  'packages/engine/src/resource-limits.ts: readFileSync': 'reads its own limits in /proc',
  'packages/host-files/src/carry-over.ts: readFileSync': 'reads how users are mapped, in /proc',
  'packages/host-files/src/resolve.ts: readFile': 'reads what its own descriptor is, in /proc',
  'packages/host-files/src/output.ts: readFileSync': 'reads its own capabilities in /proc',
  'packages/engine/src/copy-appliance.ts: read': 'the disk that was written, for its sum in the manifest',
  'packages/engine/src/dump-memory.ts: read': 'reads the memory of the guest, to be dumped as it is',
  'packages/engine/src/operations/scratch.ts: read':
    'reads what the guest left: records of a fixed layout, and bytes of a disk that are handed on as they are',
  'packages/engine/src/operations/open-image.ts: createReadStream': 'is the name of a method, which asks the guest',
  'packages/engine/src/operations/open-image.ts: read': 'is the name of a method, which asks the guest',
  'packages/engine/src/output/checksum.ts: read':
    'reads back the output where its guest says that the disk lies plainly, to be summed up and nothing else',
  'packages/vmm-native/src/remote.ts: read': 'is the name of a callback, whose answer goes to the guest as it is',
  'packages/engine/src/remote/input.ts: read': 'is that callback',
  'packages/engine/src/remote/source.ts: read': 'is what it asks for bytes, which nobody looks at',
  'packages/engine/src/remote/cached-source.ts: read': 'keeps them in blocks',
  'packages/engine/src/remote/http-source.ts: read': 'has them sent by a server',
  'packages/engine/src/remote/s3-source.ts: read': 'the same',
  'packages/jobs/src/run.ts: createReadStream': 'asks the guest for the disk, to be summed up',
  'packages/jobs/src/uploads.ts: createReadStream': 'asks the guest for a part of the disk, which is sent as it is',
  'packages/jobs/src/uploads.ts: read': 'asks the guest for the ends of the disk, which are looked at in a sandbox',
  'packages/jobs/src/window-inputs.ts: read': 'is a callback, which opens the input in the engine',
  'packages/jobs/src/window-tables.ts: read':
    'reads tables that a guest made of a length alone, to be put in front of a disk as they are',
  'packages/engine/src/dump-write.ts: read': 'the same; of it only the place of the note is looked at',
};

/** What brings bytes of other machines. */
const REMOTE_MODULES = [
  'node:http',
  'node:https',
  'node:net',
  'node:dns',
  'node:timers/promises',
  '@aws-sdk/client-s3',
];

/** Modules that only some files use: those of programs of their own, what writes dumps, and what sums up or encrypts outputs. */
const LOCAL_MODULES: Readonly<Record<string, readonly string[]>> = {
  'packages/cli/src/commands/abi/': [
    '@instar/layout/emit',
    '@instar/layout/extract',
    '@instar/layout/versions',
    '@instar/shared-abi/disk',
    '@instar/shared-abi/releases',
  ],
  // Modules of the program, compiled when it was built.
  'packages/cli/src/process/compiled.ts': ['node:vm'],
  // Specifications that the user names, of whatever files he has.
  'packages/cli/src/commands/abi/specification.ts': ['@instar/layout/kaitai', 'yaml'],
  'packages/cli/src/commands/vmcore': ['@instar/vmcore'],
  'packages/engine/src/dump-write.ts': ['@instar/vmcore'],
  // The header of a LUKS output is made of random numbers and the passphrase; a checksum is of bytes as they are.
  'packages/engine/src/encryption/': ['node:crypto'],
  'packages/engine/src/output/checksum.ts': ['node:crypto'],
  'packages/engine/src/copy-appliance.ts': ['node:crypto'],
  // A long name is known by a digest of it.
  'packages/host-files/src/undo-mark.ts': ['node:crypto'],
  // An upload has a mark of its own.
  'packages/engine/src/remote/s3-upload.ts': ['node:crypto'],
  // Jobs come out of a queue, and name images.
  'packages/cli/src/commands/': ['@instar/jobs', 'node:timers/promises'],
  'packages/jobs/src/': [
    'bullmq',
    'ioredis',
    'pg-boss',
    'node:crypto',
    'node:http',
    'node:net',
    'node:timers/promises',
  ],
  // What is not on this machine comes over the network, and goes to the guest as it came.
  'packages/engine/src/remote/': REMOTE_MODULES,
};

function isLocal(file: string, name: string): boolean {
  return Object.entries(LOCAL_MODULES).some(([start, names]) => file.startsWith(start) && names.includes(name));
}

function sources(): readonly string[] {
  return ['engine', 'cli', 'host-files', 'vmm-native', 'jobs'].flatMap((name) =>
    readdirSync(join(ROOT, 'packages', name, 'src'), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.ts') && !path.endsWith('.test.ts') && !path.endsWith('.d.ts'))
      .map((path) => join(ROOT, 'packages', name, 'src', path)),
  );
}

/** Names and modules that a file uses; comments and texts for people do not count. */
function usesOf(path: string): { readonly readers: readonly string[]; readonly modules: readonly string[] } {
  const readers = new Set<string>();
  const modules = new Set<string>();
  const visit = (node: ts.Node): void => {
    if (ts.isIdentifier(node) && READERS.has(node.text)) readers.add(node.text);
    if (ts.isStringLiteralLike(node)) {
      if (ts.isElementAccessExpression(node.parent) && READERS.has(node.text)) readers.add(node.text);
      const called = ts.isCallExpression(node.parent) && node.parent.expression.kind === ts.SyntaxKind.ImportKeyword;
      if (ts.isImportDeclaration(node.parent) || ts.isExportDeclaration(node.parent) || called) modules.add(node.text);
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.Latest, true));
  return { readers: [...readers], modules: [...modules].filter((name) => !name.startsWith('.')) };
}

describe('no code of the host could interpret an image', () => {
  it('the addon is made of no format, compression or cipher crate', (context) => {
    let tree: string;
    const args = ['tree', '--package', 'instar-addon', '--edges', 'normal', '--prefix', 'none', '--format', '{p}'];
    try {
      const cwd = join(ROOT, 'packages/vmm-native');
      tree = execFileSync('cargo', [...args, '--locked'], {
        cwd,
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      });
    } catch {
      skipLoudly(context, 'cargo cannot list the crates of the addon');
    }
    const names = new Set(tree.split('\n').flatMap((line) => line.split(' ').slice(0, 1)));
    names.delete('');
    const allowed = new Set(Object.values(CRATES).flat());
    expect([...names].filter((name) => !allowed.has(name))).toEqual([]);
    expect(
      [...allowed].filter((name) => !names.has(name)),
      'an allowed crate is no longer used',
    ).toEqual([]);
  });

  it('JavaScript reads no file but the guest image and its own package.json', () => {
    const found = sources().flatMap((path) =>
      usesOf(path).readers.map((reader) => `${relative(ROOT, path)}: ${reader}`),
    );
    expect(found.sort()).toEqual(Object.keys(ALLOWED).sort());
  });

  it('JavaScript loads no module that could bring file contents in by another way', () => {
    const found = sources().flatMap((path) =>
      usesOf(path).modules.map((name) => ({ file: relative(ROOT, path), name })),
    );
    const strange = found.filter(({ file, name }) => !MODULES.has(name) && !isLocal(file, name));
    expect(strange).toEqual([]);
    expect(found.length).toBeGreaterThan(10);
  });

  it('what reads files for `instar abi` is in no program that opens images', () => {
    // A line that each of the files has, and that survives minification.
    const marks = ['is no JSON; expected', 'is a tagged union: decode the struct', 'is no YAML: line '];
    const program = (name: string): string => readFileSync(join(ROOT, 'packages/cli/dist', name), 'utf8');
    const others = COMMANDS.filter((name) => name !== 'abi').map((name) => `commands/${name}.cjs`);
    for (const mark of marks) {
      expect(program('commands/abi.cjs')).toContain(mark);
      for (const name of ['main.cjs', ...others]) expect(program(name)).not.toContain(mark);
    }
  });
});

/** Names of the thread of a run, and of that of a sandbox that was made ahead; those that execute its commands inherit them. */
const EXECUTORS = new Set(['instar-run', 'instar-sandbox']);
const MOVES = 'read,readv,pread64,preadv,preadv2,mmap,mremap,copy_file_range,sendfile,splice,tee,process_vm_readv';
const OPENS = 'open,openat,openat2,io_uring_setup';

interface Call {
  readonly thread: string;
  readonly name: string;
  readonly args: string;
}

/** The system calls in a trace that name a file, and who made them. */
function callsOn(trace: string, file: string): readonly Call[] {
  return (
    trace
      .split('\n')
      // What a call was asked stands in its first line; a call that was interrupted has a second one with its result.
      .filter((line) => line.includes(file) && !line.includes(' resumed>'))
      .map((line) => {
        const match = /^\d+<([^>]*)> +(\w+)\((.*)$/.exec(line);
        if (match === null) throw new Error(`a line of the trace that cannot be read: ${line}`);
        return { thread: match[1] ?? '', name: match[2] ?? '', args: match[3] ?? '' };
      })
  );
}

function withImages(): Workdir {
  const directory = workdir();
  const bytes = Buffer.alloc(4 << 20);
  for (let index = 0; index < bytes.length; index += 1) bytes[index] = (index * 7 + (index >> 12)) & 0xff;
  directory.write('disk.raw', bytes);
  program('qemu-img', 'convert', '-O', 'qcow2', 'disk.raw', 'base.qcow2').in(directory).must();
  program('qemu-img', 'convert', '-O', 'qcow2', '-c', 'disk.raw', 'zlib.qcow2').in(directory).must();
  program('qemu-img', 'create', '-f', 'qcow2', '-b', 'base.qcow2', '-F', 'qcow2', 'top.qcow2').in(directory).must();
  return directory;
}

/** Runs instar under strace, with the paths of descriptors and the names of threads in the trace. */
function traced(directory: Workdir, sandbox: SandboxKind, ...args: readonly string[]): string {
  const trace = directory.file('trace');
  instar(...args, `--sandbox=${sandbox}`)
    .under('strace', '-f', '-y', '-Y', '-qq', '-s', '0', '-e', `trace=${MOVES},${OPENS}`, '-o', trace)
    .in(directory)
    .must();
  return readFileSync(trace, 'utf8');
}

/** Asserts that nothing but the executor's threads took bytes of an input, and they only by the calls given. */
function expectOnlyMoved(trace: string, file: string): void {
  const calls = callsOn(trace, file);
  const opened = calls.filter(({ name }) => name.startsWith('open'));
  const moved = calls.filter(({ name }) => !name.startsWith('open'));
  for (const { args } of opened) expect(args).toMatch(/O_RDONLY/);
  expect(moved.length, `${file} was used`).toBeGreaterThan(0);
  expect(moved.filter(({ thread }) => !EXECUTORS.has(thread))).toEqual([]);
  expect(moved.filter(({ name }) => name !== 'pread64' && name !== 'copy_file_range')).toEqual([]);
  for (const { args } of moved) expect(args.indexOf(file), 'an input is only a source').toBeLessThan(args.indexOf(','));
  expect(trace).not.toContain('io_uring_setup');
}

describe.each(SANDBOXES)('no code of the host does, under %s', (sandbox) => {
  it.for([
    ['disk.raw', ['disk.raw']],
    ['base.qcow2', ['base.qcow2']],
    ['zlib.qcow2', ['zlib.qcow2']],
    ['top.qcow2', ['top.qcow2', 'base.qcow2']],
  ] as const)('dd of %s only moves bytes of its inputs', ([input, files], context) => {
    requireJudge(context, STRACE);
    requireJudge(context, QEMU_IMG);
    requireSandbox(context, sandbox);
    const directory = withImages();
    const trace = traced(directory, sandbox, 'dd', `if=${input}`, 'of=out.raw', 'bs=64k', 'skip=1', 'count=30');
    for (const file of files) expectOnlyMoved(trace, directory.file(file));
    const copied = directory.read('out.raw');
    expect(copied.length).toBeGreaterThan(1 << 20);
    expect(copied.equals(directory.read('disk.raw').subarray(65536, 65536 + copied.length))).toBe(true);
  });

  it('info only moves bytes of its inputs', (context) => {
    requireJudge(context, STRACE);
    requireJudge(context, QEMU_IMG);
    requireSandbox(context, sandbox);
    const directory = withImages();
    const trace = traced(directory, sandbox, 'info', '--backing-chain', 'top.qcow2');
    for (const file of ['top.qcow2', 'base.qcow2']) expectOnlyMoved(trace, directory.file(file));
  });
});
