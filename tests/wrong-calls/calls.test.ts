import * as engine from '@instar/engine';
import * as vmcore from '@instar/vmcore';
import { describe, expect, it } from 'vitest';
import { workdir } from '../support/workdir.js';

/** Functions as plain JavaScript sees them: they may be called with anything. */
type Anything = (...values: readonly unknown[]) => unknown;
const { bench, convert, dd, info, infoChain, inspect, checkSafety } = engine as unknown as Readonly<
  Record<'bench' | 'convert' | 'dd' | 'info' | 'infoChain' | 'inspect' | 'checkSafety', Anything>
>;
const calls = vmcore as unknown as Readonly<
  Record<
    | 'filterImage'
    | 'flatten'
    | 'memorySource'
    | 'openDump'
    | 'openSource'
    | 'providedImage'
    | 'splitDump'
    | 'startDump'
    | 'unflatten'
    | 'verifyDump'
    | 'writeDump',
    Anything
  >
>;

// Nothing of this exists: an error about the call shows that nothing was looked for.
const INPUT = { path: '/nowhere/in.qcow2' };
const OUTPUT = { path: '/nowhere/out.raw' };
const POLICY = { references: 'within-directories', allowedDirectories: [] };
const COPY = { input: INPUT, output: OUTPUT, pathPolicy: POLICY };
const NOT_NUMBERS = [-1, Number.NaN, 1.5, Number.POSITIVE_INFINITY, '30000', 2 ** 53, true] as const;

const image = vmcore.providedImage({
  machine: 'x86_64',
  ranges: [{ start: 0n, length: 4096n }],
  read: () => undefined,
});
const provider = { machine: 'x86_64', ranges: [{ start: 0, length: 4096 }], read: () => undefined };
const target = { file: '/nowhere/out.dump' };

/** Each call with the option that its error names. */
const WRONG: readonly (readonly [option: string, call: () => unknown])[] = [
  ['file', () => convert()],
  ['file', () => convert(7, '/nowhere/out.raw')],
  ['file', () => convert(['/nowhere/in.qcow2', undefined], '/nowhere/out.raw')],
  ['options', () => dd()],
  ['options', () => dd(null)],
  ['options', () => dd('if=a', 'of=b')],
  ['options.input', () => dd({ output: OUTPUT })],
  ['options.output', () => dd({ input: INPUT })],
  ['options.input', () => dd({ ...COPY, input: '/nowhere/in.qcow2' })],
  ['options.input', () => dd({ ...COPY, input: 0 })],
  ['options.input.stream', () => dd({ ...COPY, input: { path: 'x', stream: 0 } })],
  ['options.input.file', () => dd({ ...COPY, input: { file: 'x' } })],
  ['options.input.path', () => dd({ ...COPY, input: { path: '' } })],
  ['options.input.path', () => dd({ ...COPY, input: { path: 7 } })],
  ['options.output.path', () => dd({ ...COPY, output: { path: 'a\0b' } })],
  ['options.output.stream', () => dd({ ...COPY, output: { stream: -1 } })],
  ['options.output.stream', () => dd({ ...COPY, output: { stream: process.stdout } })],
  ['options.pathPolicy', () => dd({ ...COPY, pathPolicy: 'refuse' })],
  ['options.pathPolicy', () => dd({ ...COPY, pathPolicy: null })],
  ['options.pathPolicy.references', () => dd({ ...COPY, pathPolicy: { ...POLICY, references: 'none' } })],
  ['options.pathPolicy.references', () => dd({ ...COPY, pathPolicy: { ...POLICY, references: 'Refuse' } })],
  ['options.pathPolicy.allow', () => dd({ ...COPY, pathPolicy: { ...POLICY, allow: ['/'] } })],
  ['options.pathPolicy.allowedDirectories', () => dd({ ...COPY, pathPolicy: { references: 'refuse' } })],
  ['options.pathPolicy.allowedDirectories', () => dd({ ...COPY, pathPolicy: { ...POLICY, allowedDirectories: '/a' } })],
  [
    'options.pathPolicy.allowedDirectories[1]',
    () => dd({ ...COPY, pathPolicy: { ...POLICY, allowedDirectories: ['/a', 3] } }),
  ],
  ['options.policy', () => dd({ ...COPY, policy: POLICY })],
  ['options.bs', () => dd({ ...COPY, bs: 512 })],
  ['control.sandbox', () => dd({ ...COPY, sandbox: 'vm' })],
  ['options["\\u001b[2J"]', () => dd({ ...COPY, '\u001b[2J': 1 })],
  ['options.inputFormat', () => dd({ ...COPY, inputFormat: 2 })],
  ['options.outputFormat', () => dd({ ...COPY, outputFormat: null })],
  ['options.blockSize', () => dd({ ...COPY, blockSize: 0 })],
  ['options.blockSize', () => dd({ ...COPY, blockSize: 2n ** 31n })],
  ['options.blockSize', () => dd({ ...COPY, blockSize: '1M' })],
  ...(['count', 'skip', 'seek', 'inputSize', 'outputSize'] as const).flatMap((name) =>
    [-1n, 1.5, Number.NaN, '1', 2n ** 63n].map(
      (value) => [`options.${name}`, () => dd({ ...COPY, [name]: value })] as const,
    ),
  ),
  ['options.sparse', () => dd({ ...COPY, sparse: 'yes' })],
  ['options.noClobber', () => dd({ ...COPY, noClobber: 1 })],
  ['options.forceShare', () => dd({ ...COPY, forceShare: null })],
  ['control', () => dd(COPY, 'kvm')],
  ['control.sandbox', () => dd(COPY, { sandbox: 'none' })],
  ['control.sandbox', () => dd(COPY, { sandbox: 'KVM' })],
  ['control.sandbox', () => dd(COPY, { sandbox: false })],
  ['control.sandBox', () => dd(COPY, { sandBox: 'process' })],
  ['control.timeout', () => dd(COPY, { timeout: 1000 })],
  ['control.signal', () => dd(COPY, { signal: new AbortController() })],
  ['control.onProgress', () => dd(COPY, { onProgress: true })],
  ['control.onWarning', () => dd(COPY, { onWarning: 'ignore' })],
  ['control.limits', () => dd(COPY, { limits: 1000 })],
  ['control.limits.cpu', () => dd(COPY, { limits: { cpu: 1000 } })],
  ...(['noProgressMs', 'wallClockMs', 'cpuMs'] as const).flatMap((name) =>
    NOT_NUMBERS.map((value) => [`control.limits.${name}`, () => dd(COPY, { limits: { [name]: value } })] as const),
  ),
  ...(['maxVirtualSize', 'maxOutputSize'] as const).flatMap((name) =>
    NOT_NUMBERS.map(
      (value) => [`control.limits.${name}`, () => info('/nowhere', {}, { limits: { [name]: value } })] as const,
    ),
  ),
  ['control.dumpOnCrash', () => dd(COPY, { dumpOnCrash: true })],
  ['control.dumpOnCrash.path', () => dd(COPY, { dumpOnCrash: {} })],
  ['control.dumpOnCrash.format', () => dd(COPY, { dumpOnCrash: { path: 'x', format: 'core' } })],
  ['control.dumps', () => dd(COPY, { dumps: {} })],
  ['file', () => info()],
  ['file', () => info(INPUT)],
  ['file', () => info('')],
  ['options', () => info('/nowhere', 'qcow2')],
  ['options.format', () => info('/nowhere', { format: 1 })],
  ['options.forceShare', () => info('/nowhere', { forceShare: 'true' })],
  ['options.backingChain', () => info('/nowhere', { backingChain: true })],
  ['options.backingChain.references', () => info('/nowhere', { backingChain: { ...POLICY, references: 'all' } })],
  ['file', () => infoChain()],
  ['options', () => infoChain('/nowhere', null)],
  ['options', () => infoChain('/nowhere', 'qcow2')],
  ['options.format', () => infoChain('/nowhere', { format: 1 })],
  ['options.backingChain', () => infoChain('/nowhere', { backingChain: true })],
  ['control.sandbox', () => infoChain('/nowhere', { sandbox: 'docker' })],
  ['file', () => bench()],
  ['options', () => bench('/nowhere', null)],
  ['options.count', () => bench('/nowhere', { count: -1 })],
  ['options.count', () => bench('/nowhere', { count: 1.5 })],
  ['options.depth', () => bench('/nowhere', { depth: 0 })],
  ['options.requestLength', () => bench('/nowhere', { requestLength: 0 })],
  ['options.pattern', () => bench('/nowhere', { pattern: 256 })],
  ['options.Count', () => bench('/nowhere', { Count: 1 })],
  ['options.requireSafe', () => inspect('/nowhere', { requireSafe: true })],
  ['options.backingChain', () => inspect('/nowhere', { backingChain: 'no' })],
  ['control.sandbox', () => checkSafety('/nowhere', {}, { sandbox: 'docker' })],
  ['target', () => new engine.DumpRequests().dump(3 as never)],
  ['target.file', () => new engine.DumpRequests().dump({ file: 'x' } as never)],
  ['control.sinal', () => new engine.DumpRequests().dump('/nowhere/x', { sinal: 1 } as never)],

  ['path', () => calls.openDump()],
  ['path', () => calls.openDump('')],
  ['path', () => calls.openDump({ file: '/nowhere' })],
  ['path[1]', () => calls.openDump(['/nowhere/1', 2])],
  ['source', () => calls.openSource(Buffer.alloc(10))],
  ['bytes', () => calls.memorySource('bytes')],
  ['dump', () => calls.verifyDump(image)],
  ['image', () => calls.writeDump({}, target, { format: 'elf' })],
  ['output', () => calls.writeDump(image, '/nowhere/out', { format: 'elf' })],
  ['output.path', () => calls.writeDump(image, { path: '/nowhere/out' }, { format: 'elf' })],
  ['output.stream', () => calls.writeDump(image, { stream: 1 }, { format: 'elf' })],
  ['options', () => calls.writeDump(image, target)],
  ['options.format', () => calls.writeDump(image, target, {})],
  ['options.format', () => calls.writeDump(image, target, { format: 'vmcore' })],
  ['options.compress', () => calls.writeDump(image, target, { format: 'kdump', compress: 'zlib' })],
  ['options.compression', () => calls.writeDump(image, target, { format: 'kdump', compression: 'gzip' })],
  ['options.threads', () => calls.writeDump(image, target, { format: 'kdump', threads: '4' })],
  ['options.threads', () => calls.writeDump(image, target, { format: 'kdump', threads: Number.NaN })],
  ['options.time', () => calls.writeDump(image, target, { format: 'kdump', time: 1 })],
  ['options.zstd', () => calls.writeDump(image, target, { format: 'elf', zstd: 'yes' })],
  ['options.filter.length', () => calls.writeDump(image, target, { format: 'elf', filter: { begin: 0n } })],
  ['options.filter.begin', () => calls.writeDump(image, target, { format: 'elf', filter: { begin: 0.5, length: 1 } })],
  [
    'options.part.startPfn',
    () => calls.writeDump(image, target, { format: 'kdump', part: { startPfn: '0', endPfn: 1 } }),
  ],
  ['options.signal', () => calls.writeDump(image, target, { format: 'elf', signal: 'SIGINT' })],
  ['options.format', () => calls.startDump(image, target, { format: 1 })],
  ['files', () => calls.splitDump(image, '/nowhere/part', {})],
  ['options.format', () => calls.splitDump(image, ['/nowhere/1', '/nowhere/2'], { format: 'elf' })],
  ['filter', () => calls.filterImage(image)],
  ['filter.end', () => calls.filterImage(image, { begin: 0n, end: 1n })],
  ['file', () => calls.flatten(undefined, target)],
  ['options.progress', () => calls.flatten('/nowhere', target, { progress: true })],
  ['input', () => calls.unflatten(0, '/nowhere/out')],
  ['file', () => calls.unflatten('/nowhere/in', { file: '/nowhere/out' })],
  ['provider', () => calls.providedImage(null)],
  ['provider.machine', () => calls.providedImage({ ...provider, machine: 'x64' })],
  ['provider.ranges', () => calls.providedImage({ ...provider, ranges: undefined })],
  ['provider.ranges[0].size', () => calls.providedImage({ ...provider, ranges: [{ start: 0n, size: 1n }] })],
  ['provider.read', () => calls.providedImage({ ...provider, read: Buffer.alloc(4096) })],
  ['provider.wordBits', () => calls.providedImage({ ...provider, wordBits: 16 })],
  ['provider.cpus[0].registers.rip', () => calls.providedImage({ ...provider, cpus: [{ registers: { rip: '0' } }] })],
  [
    'provider.notes[0].descriptor',
    () => calls.providedImage({ ...provider, notes: [{ name: 'a', type: 1, descriptor: 'x' }] }),
  ],
];

describe('a wrong call from plain JavaScript', () => {
  it.each(WRONG.map(([option, call], index) => [index, option, call] as const))(
    '%i: is refused by the name of %s before anything is opened',
    async (_, option, call) => {
      const error = await Promise.resolve()
        .then(call)
        .then(async (result) => (result as { completed?: Promise<unknown> }).completed)
        .then(
          () => undefined,
          (found: unknown) => found,
        );
      expect(error).toMatchObject({ code: 'INVALID_OPTION' });
      const { message } = error as Error;
      expect(message.startsWith(`${option}: found `), message).toBe(true);
      expect(message).toMatch(/^[ -~…]+, expected [ -~…]+$/);
    },
  );

  it('is tried often enough', () => {
    expect(WRONG.length).toBeGreaterThan(60);
  });

  it('leaves what exists alone, too', async () => {
    const directory = workdir().write('in.raw', Buffer.alloc(512, 1)).write('out.raw', 'before');
    const before = directory.digests();
    const options = {
      input: { path: directory.file('in.raw') },
      output: { path: directory.file('out.raw') },
      counts: 1,
    };
    await expect(dd(options)).rejects.toMatchObject({ code: 'INVALID_OPTION' });
    expect(directory.digests()).toEqual(before);
  });
});

describe('a call that is right', () => {
  it('may leave the policy out, and gets the safe one', async () => {
    const directory = workdir().write('in.raw', Buffer.alloc(1024, 7));
    const endpoints = { input: { path: directory.file('in.raw') }, output: { path: directory.file('out.raw') } };
    const { pathPolicy, ...options } = { ...endpoints, pathPolicy: undefined, blockSize: 512, count: 1 };
    expect(pathPolicy).toBeUndefined();
    const result = await engine.dd(options, { limits: { maxOutputSize: 512, maxVirtualSize: 1024n } });
    expect(result.bytes).toBe(512n);
  });

  it.each([
    ['maxVirtualSize', 1023, 'virtual size of 1024 bytes'],
    ['maxOutputSize', 1023n, '1024 bytes'],
  ])('is refused by %s with LIMIT_EXCEEDED, and no output', async (limit, most, words) => {
    const directory = workdir().write('in.raw', Buffer.alloc(1024, 7));
    const options = { input: { path: directory.file('in.raw') }, output: { path: directory.file('out.raw') } };
    const refused = engine.dd(options, { limits: { [limit]: most } });
    await expect(refused).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' });
    await expect(refused).rejects.toThrow(words);
    expect(directory.names()).toEqual(['in.raw']);
  });
});
