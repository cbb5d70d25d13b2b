import type { Readable, Writable } from 'node:stream';
import * as v from 'valibot';
import type { MemoryImage } from '../image.js';
import type { DebugInfoOptions } from '../kernel/debug-info.js';
import type { TranslateOptions } from '../kernel/page-walk.js';
import type { TaskOptions } from '../kernel/tasks.js';
import type { ExcludeOptions, PageKind } from '../operations/exclude.js';
import type { DumpGuestOptions } from '../live/dump-guest.js';
import type { MemoryFilter } from '../operations/filter.js';
import type { FlattenOptions } from '../operations/flatten.js';
import type { RepairOptions } from '../operations/repair.js';
import type { VerifyOptions } from '../operations/verify.js';
import type { Dump, ReadOptions, StreamRange } from '../read/dump.js';
import type { StreamOptions } from '../read/open-stream.js';
import { nodeWritable } from '../sink/web-stream.js';
import type { ByteSource } from '../source/byte-source.js';
import type { SplitPart } from '../write/kdump-header-writer.js';
import type { DumpOutput, OpenableOutput, WriteOptions } from '../write/write-dump.js';
import {
  abortSignal,
  bytes,
  callback,
  checked,
  count,
  fileName,
  fileNames,
  integer,
  oneOf,
  options,
  withMethods,
  word,
  yesNo,
  type Fields,
} from './kinds.js';

const image = withMethods<MemoryImage>('a memory image, as openDump or providedImage return', 'extents', 'readInto');
const dump = withMethods<Dump>('a dump that openDump has opened', 'extents', 'readInto', 'read', 'close');
const source = withMethods<ByteSource>('a source with read() and close()', 'read', 'close');

const filter = options({ begin: integer, length: integer } satisfies Fields<MemoryFilter>);
const part = options({ startPfn: integer, endPfn: integer } satisfies Fields<SplitPart>);

const exclude = options({
  format: v.optional(oneOf('elf', 'kdump', 'raw', 'dmp')),
  signal: v.optional(abortSignal),
} satisfies Fields<ExcludeOptions>);
const dumpGuest = options({
  format: v.optional(word),
  paging: v.optional(yesNo),
  filter: v.optional(filter),
  detach: v.optional(yesNo),
  signal: v.optional(abortSignal),
  onProgress: v.optional(callback),
} satisfies Fields<DumpGuestOptions>);
const pageKinds = v.pipe(
  v.array(oneOf('zero', 'cache', 'private', 'user', 'free'), 'an array of kinds of pages'),
  v.minLength(1, 'at least one kind of pages'),
);

const debugInfo = options({ vmlinux: v.optional(fileName) } satisfies Fields<DebugInfoOptions>);
const tasks = options({ vmlinux: v.optional(fileName), threads: v.optional(yesNo) } satisfies Fields<TaskOptions>);

const writeFields = {
  format: oneOf('elf', 'kdump', 'raw', 'dmp'),
  compression: v.optional(oneOf('none', 'zlib', 'lzo', 'snappy', 'zstd')),
  flattened: v.optional(yesNo),
  zstd: v.optional(yesNo),
  filter: v.optional(filter),
  part: v.optional(part),
  salvage: v.optional(yesNo),
  threads: v.optional(count),
  time: v.optional(v.instance(Date, 'a Date')),
  signal: v.optional(abortSignal),
  onProgress: v.optional(callback),
  onWarning: v.optional(callback),
} satisfies Fields<WriteOptions>;

const write = options(writeFields);
// What decides both is no option there; a caller that hands its own options on may have them all the same.
const split = options({ ...writeFields, format: v.optional(oneOf('kdump')), part: v.optional(v.undefined('nothing')) });

const { format: _format, part: _part, salvage: _salvage, filter: _filter, ...repairFields } = writeFields;
const repair = options({ ...repairFields, onLost: v.optional(callback) } satisfies Fields<RepairOptions>);

const progress = options({
  signal: v.optional(abortSignal),
  onProgress: v.optional(callback),
  onWarning: v.optional(callback),
} satisfies Fields<FlattenOptions>);

const verify = options({
  signal: v.optional(abortSignal),
  onProgress: v.optional(callback),
  onWarning: v.optional(callback),
  onProblem: v.optional(callback),
} satisfies Fields<VerifyOptions> & Fields<FlattenOptions>);

const streamed = options({
  directory: v.optional(fileName),
  name: v.optional(fileName),
  signal: v.optional(abortSignal),
} satisfies Fields<StreamOptions>);

const read = options({ excluded: v.optional(oneOf('error', 'zero')) } satisfies Fields<ReadOptions>);

const memoryRange = options({
  start: v.optional(integer),
  end: v.optional(integer),
  excluded: v.optional(oneOf('error', 'zero')),
} satisfies Fields<StreamRange>);
type MemoryRange = v.InferOutput<typeof memoryRange>;

const virtual = options({
  excluded: v.optional(oneOf('error', 'zero')),
  pgd: v.optional(integer),
} satisfies Fields<ReadOptions> & Fields<TranslateOptions>);

const nodeStream = withMethods<Writable>('a writable stream', 'write', 'end', 'on');
const webStream = v.pipe(
  withMethods<WritableStream<Uint8Array>>('a writable stream', 'getWriter', 'abort'),
  v.check(({ locked }) => !locked, 'a writable stream that nobody else writes to'),
  v.transform(nodeWritable),
);
const output = v.union(
  [options({ file: fileName }), options({ stream: v.union([nodeStream, webStream], 'a writable stream') })],
  'either { file: … } for a file, or { stream: … } for a writable stream',
);

const openable = v.union([fileName, fileNames, bytes], 'the name of a file, an array of names, or the bytes of a dump');

const stream = v.custom<Readable | AsyncIterable<Uint8Array>>(
  (value) => typeof value === 'object' && value !== null && Symbol.asyncIterator in value,
  'the name of a file, or a stream',
);
const unflattenable = v.union([fileName, stream], 'the name of a file, or a stream');

/** Each checks an argument of a public function. @throws VmcoreError `INVALID_OPTION` */
export const check = {
  virtual: (address: bigint, length: number, value: ReadOptions & TranslateOptions): ReadOptions & TranslateOptions => {
    checked(v.bigint('a virtual address (a bigint)'), 'address', address);
    checked(count, 'length', length);
    return checked(virtual, 'options', value);
  },
  image: (value: MemoryImage): MemoryImage => checked(image, 'image', value),
  dump: (value: Dump): Dump => checked(dump, 'dump', value),
  source: (value: ByteSource): ByteSource => checked(source, 'source', value),
  bytes: (value: Uint8Array): Uint8Array => checked(bytes, 'bytes', value),
  file: (value: string): string => checked(fileName, 'file', value),
  files: (value: readonly string[]): readonly string[] => checked(fileNames, 'files', value),
  output: (value: DumpOutput): OpenableOutput => checked(output, 'output', value),
  memoryRange: (value: StreamRange): MemoryRange => checked(memoryRange, 'range', value),
  openable: (value: string | readonly string[] | Uint8Array): void => {
    checked(openable, 'path', value);
  },
  unflattenable: (value: string | Readable | AsyncIterable<Uint8Array>): void => {
    checked(unflattenable, 'input', value);
  },
  exclude: (kinds: readonly PageKind[], value: ExcludeOptions): ExcludeOptions => {
    checked(pageKinds, 'kinds', kinds);
    return checked(exclude, 'options', value);
  },
  tasks: (value: TaskOptions): TaskOptions => checked(tasks, 'options', value),
  symbol: (name: string, value: DebugInfoOptions): DebugInfoOptions => {
    checked(word, 'name', name);
    return checked(debugInfo, 'options', value);
  },
  dumpGuest: (value: DumpGuestOptions): DumpGuestOptions => checked(dumpGuest, 'options', value) as DumpGuestOptions,
  filter: (value: MemoryFilter): MemoryFilter => checked(filter, 'filter', value),
  write: (value: WriteOptions): WriteOptions => checked(write, 'options', value) as WriteOptions,
  split: (value: Omit<WriteOptions, 'format' | 'part'>): Omit<WriteOptions, 'format' | 'part'> =>
    checked(split, 'options', value) as WriteOptions,
  repair: (value: RepairOptions): RepairOptions => checked(repair, 'options', value) as RepairOptions,
  progress: <T extends FlattenOptions>(value: T): T => checked(progress, 'options', value) as T,
  stream: (value: StreamOptions): StreamOptions => checked(streamed, 'options', value),
  // What verify never warns of, it may be given a listener for.
  verify: (value: VerifyOptions): VerifyOptions => checked(verify, 'options', value) as VerifyOptions,
  read: (address: bigint, length: number, value: ReadOptions | undefined): void => {
    checked(v.bigint('a physical address (a bigint)'), 'address', address);
    checked(count, 'length', length);
    if (value !== undefined) checked(read, 'options', value);
  },
};
