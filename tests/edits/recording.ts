import { mkdirSync, rmSync, statSync } from 'node:fs';
import type { CommandLine, Finished } from '../support/command.js';
import type { Random } from '../support/random.js';
import type { Workdir } from '../support/workdir.js';

/** What an edit did to one of its files, or to the directory that names them. */
export type Event =
  | { readonly file: FileName; readonly kind: 'write'; readonly offset: number; readonly bytes: Buffer }
  | { readonly file: FileName; readonly kind: 'truncate'; readonly length: number }
  | { readonly file: FileName; readonly kind: 'punch'; readonly offset: number; readonly length: number }
  | { readonly file: FileName | 'directory'; readonly kind: 'sync' }
  | { readonly file: 'log'; readonly kind: 'create' | 'remove' };

/** An image, its undo log, and its external data file. */
export type FileName = 'image' | 'log' | 'data';

/** A file system's content: undefined for a file that is not there. */
export type Files = Readonly<Record<'image' | 'log', Buffer | undefined> & { data?: Buffer | undefined }>;

const CALLS =
  'pwrite64,pwritev,pwritev2,write,fallocate,ftruncate,copy_file_range,fsync,fdatasync,unlink,unlinkat,openat,ioctl';
const SECTOR = 512;

/** A string as strace prints it with -xx. */
function bytesOf(text: string): Buffer {
  return Buffer.from(text.replaceAll('\\x', ''), 'hex');
}

function fileOf(path: string, image: string): FileName | undefined {
  if (path === image) return 'image';
  if (path === `${image.slice(0, image.lastIndexOf('/'))}/data`) return 'data';
  return path === `${image}.instar-undo` ? 'log' : undefined;
}

/** What files held before the edit, by their paths. */
type Sources = ReadonlyMap<string, Buffer>;

/** What was copied from a file inside the kernel: that file is one of those that the edit leaves as they are. */
function copyOf(rest: string, image: string, sources: Sources): Event | undefined {
  const copied =
    /^\d+<((?:\\x[0-9a-f]{2})*)>, \[(\d+)[^\]]*\], \d+<((?:\\x[0-9a-f]{2})*)>, \[(\d+)[^\]]*\], (\d+)/.exec(rest);
  if (copied === null) throw new Error(`not recorded: ${rest.slice(0, 200)}`);
  const [, from = '', start, to = '', offset, length] = copied;
  const file = fileOf(bytesOf(to).toString(), image);
  if (file === undefined) return undefined;
  const content = sources.get(bytesOf(from).toString());
  if (content === undefined) throw new Error(`copied from a file that is not known: ${bytesOf(from).toString()}`);
  const bytes = content.subarray(Number(start), Number(start) + Number(length));
  return { file, kind: 'write', offset: Number(offset), bytes };
}

/** What came into the log as a clone of a file, before that was written to; undefined for any other ioctl, and for one that failed. */
function cloneOf(rest: string, image: string, sources: Sources): Event | undefined {
  const cloned =
    /^\d+<((?:\\x[0-9a-f]{2})*)>, [\w ]*FICLONERANGE, \{src_fd=\d+<((?:\\x[0-9a-f]{2})*)>, src_offset=(\d+), src_length=(\d+), dest_offset=(\d+)\}\) += 0/.exec(
      rest,
    );
  if (cloned === null) return undefined;
  const [, to = '', from = '', start, length, offset] = cloned;
  const file = fileOf(bytesOf(to).toString(), image);
  if (file === undefined) return undefined;
  const content = sources.get(bytesOf(from).toString());
  if (file !== 'log' || content === undefined) {
    throw new Error(`not recorded: ${rest.slice(0, 200)}`);
  }
  const bytes = content.subarray(Number(start), Number(start) + Number(length));
  return { file: 'log', kind: 'write', offset: Number(offset), bytes };
}

function eventOf(line: string, image: string, sources: Sources): Event | undefined {
  const [, call = '', rest = ''] = /^\d+ +(\w+)\((.*)$/s.exec(line) ?? [];
  const directory = image.slice(0, image.lastIndexOf('/'));
  if (call === 'openat' || call.startsWith('unlink')) {
    const name = bytesOf(/"((?:\\x[0-9a-f]{2})*)"/.exec(rest)?.[1] ?? '').toString();
    if (fileOf(name, image) !== 'log') return undefined;
    if (call !== 'openat') return { file: 'log', kind: 'remove' };
    return rest.includes('O_CREAT') ? { file: 'log', kind: 'create' } : undefined;
  }
  if (call === 'copy_file_range') return copyOf(rest, image, sources);
  if (call === 'ioctl') return cloneOf(rest, image, sources);
  const path = bytesOf(/^\d+<((?:\\x[0-9a-f]{2})*)>/.exec(rest)?.[1] ?? '').toString();
  if (path === directory && (call === 'fsync' || call === 'fdatasync')) return { file: 'directory', kind: 'sync' };
  const file = fileOf(path, image);
  if (file === undefined) return undefined;
  if (call === 'fsync' || call === 'fdatasync') return { file, kind: 'sync' };
  if (call === 'ftruncate') return { file, kind: 'truncate', length: Number(/, (\d+)/.exec(rest)?.[1]) };
  if (call === 'fallocate') {
    // Room for what was copied there just now: no byte changes.
    if (/^[^,]*, 0, /.test(rest)) return undefined;
    const [, how, at, bytes] = /FALLOC_FL_(PUNCH_HOLE|ZERO_RANGE), (\d+), (\d+)/.exec(rest) ?? [];
    if (how === undefined) throw new Error(`not recorded: ${line.slice(0, 200)}`);
    const [offset, length] = [Number(at), Number(bytes)];
    if (how === 'PUNCH_HOLE') return { file, kind: 'punch', offset, length };
    return { file, kind: 'write', offset, bytes: Buffer.alloc(length) };
  }
  const [, data, offset] = /^[^"]*"((?:\\x[0-9a-f]{2})*)", \d+, (\d+)/.exec(rest) ?? [];
  if (call !== 'pwrite64' || data === undefined) throw new Error(`not recorded: ${line.slice(0, 200)}`);
  return { file, kind: 'write', offset: Number(offset), bytes: bytesOf(data) };
}

/** Runs an edit of `image` and tells in which order it did what. */
export function record(directory: Workdir, command: CommandLine): { finished: Finished; events: readonly Event[] } {
  const trace = `${directory.path}.strace`;
  const strace = ['strace', '-f', '--seccomp-bpf', '-qq', '-y', '-xx', '-s', '4194304', '-e', `trace=${CALLS}`];
  const names = directory.names().filter((name) => statSync(directory.file(name)).isFile());
  const sources = new Map(names.map((name) => [directory.file(name), directory.read(name)]));
  const finished = command
    .under(...strace, '-o', trace)
    .in(directory)
    .run();
  const lines = directory.readOutside(trace).split('\n');
  const events = lines.flatMap((line) => eventOf(line, directory.file('image'), sources) ?? []);
  return { finished, events };
}

function put(content: Buffer | undefined, event: Event): Buffer {
  const before = content ?? Buffer.alloc(0);
  if (event.kind === 'truncate') {
    return Buffer.concat([before.subarray(0, event.length), Buffer.alloc(Math.max(0, event.length - before.length))]);
  }
  if (event.kind === 'punch') {
    const end = Math.min(before.length, event.offset + event.length);
    return event.offset < end ? Buffer.from(before).fill(0, event.offset, end) : before;
  }
  if (event.kind !== 'write') return before;
  const after = Buffer.alloc(Math.max(before.length, event.offset + event.bytes.length));
  before.copy(after);
  event.bytes.copy(after, event.offset);
  return after;
}

/** What files hold after a process was killed behind the `count`th event. @param data what the data file was */
export function afterKill(before: Buffer, events: readonly Event[], count: number, data?: Buffer): Files {
  const files: Record<FileName, Buffer | undefined> = { image: before, log: undefined, data };
  for (const event of events.slice(0, count)) {
    if (event.file === 'directory') continue;
    if (event.kind === 'create') files.log = Buffer.alloc(0);
    else if (event.kind === 'remove') files.log = undefined;
    else files[event.file] = put(files[event.file], event);
  }
  return files;
}

/** A part of a write that reached the disk: some of its sectors. */
function torn(event: Event, random: Random): Event {
  if (event.kind !== 'write' || !random.chance(3)) return event;
  const sectors = Math.ceil(event.bytes.length / SECTOR);
  const kept = random.below(sectors + 1) * SECTOR;
  return { ...event, bytes: event.bytes.subarray(0, kept) };
}

/**
 * What a disk holds after the power went behind the `count`th event: all that was synced, and of the rest whatever the disk
 * had got to, in any order.
 */
export function afterPowerCut(
  before: Buffer,
  events: readonly Event[],
  count: number,
  random: Random,
  data?: Buffer,
): Files {
  const files: Record<FileName, Buffer | undefined> = { image: before, log: undefined, data };
  const pending: Record<FileName, Event[]> = { image: [], log: [], data: [] };
  let [named, namePending] = [false, false];
  for (const event of events.slice(0, count)) {
    if (event.file === 'directory') {
      namePending = false;
    } else if (event.kind === 'create' || event.kind === 'remove') {
      named = event.kind === 'create';
      namePending = true;
      if (named) [files.log, pending.log] = [Buffer.alloc(0), []];
    } else if (event.kind === 'sync') {
      for (const done of pending[event.file]) files[event.file] = put(files[event.file], done);
      pending[event.file] = [];
    } else pending[event.file].push(event);
  }
  for (const file of ['image', 'log', 'data'] as const) {
    const reached = pending[file].filter(() => random.chance(2));
    if (random.chance(4)) reached.reverse();
    for (const event of reached) files[file] = put(files[file], torn(event, random));
  }
  if (namePending && random.chance(2)) named = !named;
  return named ? files : { ...files, log: undefined };
}

/** Puts files into a directory, the image into the file that it is already: its log knows it by that. */
export function lay(directory: Workdir, files: Files): void {
  mkdirSync(directory.path, { recursive: true });
  rmSync(directory.file('image.instar-undo'), { force: true });
  if (files.image !== undefined) directory.write('image', files.image);
  if (files.log !== undefined) directory.write('image.instar-undo', files.log);
  if (files.data !== undefined) directory.write('data', files.data);
}
