import { createHash } from 'node:crypto';
import { CONVERT_FORMATS, isRemoteName, READABLE_FORMATS } from '@instar/engine';
import * as v from 'valibot';
import { JobsError } from './errors.js';

const MOST_NAME = 4096;
const MOST_WINDOWS = 1024;
/** Windows of a compressed output, which are files until they are joined: a guest has 64 at most. */
const MOST_SEGMENTS = 60;
/** Images that one job looks at. What comes of them is kept in the queue as one answer: some KiB each. */
const MOST_INPUTS = 1000;

function isObject(name: string): boolean {
  return /^s3:\/\//i.test(name);
}

/** A path from the root, or a URL. What authorises does not belong into a job, which a queue stores. */
const place = v.pipe(
  v.string('a path or a URL'),
  v.nonEmpty('a path or a URL that is not empty'),
  v.maxLength(MOST_NAME, `at most ${MOST_NAME} characters`),
  v.check((text) => !text.includes('\0'), 'a path without a zero byte'),
  v.check((text) => isRemoteName(text) || text.startsWith('/'), 'a path from the root on: workers are elsewhere'),
  v.check(
    (text) => !isRemoteName(text) || !/[?#]|\/\/[^/]*@/.test(text),
    'a URL without user, query and fragment: a queue stores it, and they may be secret',
  ),
);
const file = v.pipe(
  place,
  v.check((text) => !isRemoteName(text), 'a path: a part of an output is written at its place'),
);
const object = v.pipe(place, v.check(isObject, 'an object: s3://bucket/key'));
const readable = v.picklist(READABLE_FORMATS, `one of ${READABLE_FORMATS.join(', ')}`);
const writable = v.picklist(CONVERT_FORMATS, `one of ${CONVERT_FORMATS.join(', ')}`);

const codec = v.picklist(['zlib', 'zstd'], 'zlib or zstd');

const convert = v.pipe(
  v.strictObject({
    kind: v.literal('convert'),
    input: place,
    output: place,
    inputFormat: v.optional(readable),
    outputFormat: v.optional(writable, 'raw'),
    compress: v.optional(v.boolean()),
    compressionType: v.optional(codec),
    windows: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(MOST_WINDOWS))),
  }),
  v.check(
    ({ windows = 1, outputFormat }) => windows === 1 || outputFormat === 'raw' || outputFormat === 'qcow2',
    'windows: only raw and qcow2 outputs are written in windows',
  ),
  v.check(
    ({ compress = false, compressionType, outputFormat }) =>
      compressionType === undefined || (compress && outputFormat === 'qcow2'),
    'compressionType: of a qcow2 output that is compressed',
  ),
  v.check(
    ({ windows = 1, compress = false, outputFormat }) => windows === 1 || !compress || outputFormat === 'qcow2',
    'windows: of compressed outputs only qcow2 is written in windows',
  ),
  v.check(
    ({ windows = 1, compress = false }) => !compress || windows <= MOST_SEGMENTS,
    `windows: a compressed output is made of ${MOST_SEGMENTS} at most`,
  ),
  v.check(
    ({ windows = 1, output, outputFormat }) => windows === 1 || outputFormat === 'raw' || !isRemoteName(output),
    'windows: an object is written in windows as a raw disk only',
  ),
  v.check(
    ({ windows = 1, output }) => windows === 1 || !isRemoteName(output) || isObject(output),
    'windows: need an output that is a file of a directory which the workers share, or an object (s3://bucket/key)',
  ),
);
const inspect = v.pipe(
  v.strictObject({
    kind: v.literal('inspect'),
    input: v.optional(place),
    inputs: v.optional(
      v.pipe(v.array(place), v.minLength(1, 'one at least'), v.maxLength(MOST_INPUTS, `at most ${MOST_INPUTS}`)),
    ),
    inputFormat: v.optional(readable),
  }),
  v.check(({ input, inputs }) => (input === undefined) !== (inputs === undefined), 'one of input and inputs'),
);
const compare = v.strictObject({
  kind: v.literal('compare'),
  first: place,
  second: place,
  firstFormat: v.optional(readable),
  secondFormat: v.optional(readable),
  strict: v.optional(v.boolean()),
});
const checksum = v.strictObject({
  kind: v.literal('checksum'),
  input: place,
  inputFormat: v.optional(readable),
  algorithm: v.optional(v.picklist(['sha256', 'sha512', 'md5', 'sha1']), 'sha256'),
});

const number = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(Number.MAX_SAFE_INTEGER));

/** Bytes, or nanoseconds since 1970. */
const digits = v.pipe(v.string(), v.regex(/^-?\d{1,20}$/, 'digits'));
/** Windows begin at multiples of this (bytes). */
export const WINDOW_UNIT = 65_536;
/** More files than any image has. */
const MOST_FILES = 1024;

/** Which bytes a file had when a job in windows began. */
const version = v.strictObject({ path: file, size: digits, modified: digits });

/** More than any server writes into a header that names a version, or calls an upload. */
const MOST_TEXT = 2048;
const text = v.pipe(v.string(), v.maxLength(MOST_TEXT, `at most ${MOST_TEXT} characters`));
/** Which bytes a URL led to when a job in windows began. */
const remoteVersion = v.strictObject({
  size: digits,
  etag: v.optional(text),
  modified: v.optional(text),
  versionId: v.optional(text),
});
/** Bytes of a part, at most: a worker holds a few of them. */
export const MOST_PART = 512 << 20;
/** An object that is written in parts, by several workers. */
const upload = v.strictObject({
  output: object,
  id: text,
  /** Bytes of each part but the last; the first is 1. */
  partSize: v.pipe(v.number(), v.integer(), v.minValue(WINDOW_UNIT), v.maxValue(MOST_PART), v.multipleOf(WINDOW_UNIT)),
});
const versions = v.pipe(v.array(version), v.maxLength(MOST_FILES, `at most ${MOST_FILES} files`));

/** What the attempts of a job keep of its upload. */
export const keptUpload = v.strictObject({
  ...upload.entries,
  /** By which its object is known. */
  token: text,
  /** Bytes of the object. */
  length: digits,
  files: versions,
});

/** A window of a disk, which is written into a file that there is, or into an upload. Workers make these themselves. */
const window = v.pipe(
  v.strictObject({
    kind: v.literal('window'),
    input: place,
    inputFormat: v.optional(readable),
    /** The file that becomes the output. */
    part: v.optional(file),
    /** The object that becomes the output. */
    upload: v.optional(upload),
    /** First byte of the disk, and the one behind the last. */
    start: number,
    end: number,
    /** Where the disk begins in `part` (byte offset, default 0). */
    at: v.optional(v.pipe(number, v.multipleOf(WINDOW_UNIT))),
    /** It becomes a compressed image of its own, beside `part`, which only tells whether the job goes on. */
    compress: v.optional(codec),
    /** What is read, of an input that is a file. */
    files: versions,
    /** What is read, of an input that is behind a URL. */
    version: v.optional(remoteVersion),
  }),
  v.check(({ part, upload: parts }) => (part === undefined) !== (parts === undefined), 'one of part and upload'),
  v.check(
    ({ input, version: known }) => isRemoteName(input) === (known !== undefined),
    'version: of an input that is behind a URL',
  ),
  v.check(({ at, part }) => at === undefined || part !== undefined, 'at: of a part'),
  v.check(
    ({ compress, part, at }) => compress === undefined || (part !== undefined && at === undefined),
    'compress: of a part without a place',
  ),
  v.check(
    ({ start, upload: parts }) => parts === undefined || start % parts.partSize === 0,
    'start: where a part begins',
  ),
  v.check(
    ({ start, end }) => start < end && start % WINDOW_UNIT === 0,
    `start: a multiple of ${WINDOW_UNIT} below end`,
  ),
);

const job = v.variant('kind', [convert, inspect, compare, checksum]);
const anyJob = v.variant('kind', [convert, inspect, compare, checksum, window]);

/** Copies the disk of an image into another format; with `windows` by several workers at once. */
export type ConvertJob = v.InferOutput<typeof convert>;
/**
 * Says what an image is, and whether it is safe: `input`. Of many small ones it costs the queue as much as they do themselves to
 * hand out each; with `inputs` they are one job, whose result has an {@link InspectedInput} for each, in their order.
 */
export type InspectJob = v.InferOutput<typeof inspect>;
/** Says whether two images hold the same disk. */
export type CompareJob = v.InferOutput<typeof compare>;
/** Sums up the disk of an image. */
export type ChecksumJob = v.InferOutput<typeof checksum>;
/** A window of a conversion. */
export type WindowJob = v.InferOutput<typeof window>;
/** What the attempts of a job keep of its upload. */
export type KeptUpload = v.InferOutput<typeof keptUpload>;
/** What can be submitted. */
export type Job = v.InferOutput<typeof job>;
/** What a queue holds. */
export type AnyJob = v.InferOutput<typeof anyJob>;

function checked<S extends v.GenericSchema>(schema: S, value: unknown): v.InferOutput<S> {
  const found = v.safeParse(schema, value);
  if (found.success) return found.output;
  const [issue] = found.issues;
  const path = v.getDotPath(issue);
  throw new JobsError('INVALID_JOB', `this is not a job: ${path === null ? '' : `${path}: `}${issue.message}`);
}

/** A conversion. @throws JobsError `INVALID_JOB` */
export function convertJob(options: Omit<v.InferInput<typeof convert>, 'kind'>): ConvertJob {
  return checked(convert, { ...options, kind: 'convert' });
}

/** A look at an image, or at several. @throws JobsError `INVALID_JOB` */
export function inspectJob(options: Omit<v.InferInput<typeof inspect>, 'kind'>): InspectJob {
  return checked(inspect, { ...options, kind: 'inspect' });
}

/** A comparison. @throws JobsError `INVALID_JOB` */
export function compareJob(options: Omit<v.InferInput<typeof compare>, 'kind'>): CompareJob {
  return checked(compare, { ...options, kind: 'compare' });
}

/** A checksum of a disk. @throws JobsError `INVALID_JOB` */
export function checksumJob(options: Omit<v.InferInput<typeof checksum>, 'kind'>): ChecksumJob {
  return checked(checksum, { ...options, kind: 'checksum' });
}

/** Reads what may be submitted. @throws JobsError `INVALID_JOB` */
export function parseJob(value: unknown): Job {
  return checked(job, value);
}

/** Reads what came out of a queue, in which others may write. @throws JobsError `INVALID_JOB` */
export function parseAnyJob(value: unknown): AnyJob {
  return checked(anyJob, value);
}

/**
 * An id that follows from what is asked: who submits the same again gets the same job. It has the form of a UUID, which some
 * queues need.
 */
export function idOf(value: Job | string): string {
  const text =
    typeof value === 'string' ? value : JSON.stringify(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
  const digest = createHash('sha256').update(text).digest('hex');
  // Version 8 of RFC 9562: bits of one's own.
  return [
    digest.slice(0, 8),
    digest.slice(8, 12),
    `8${digest.slice(13, 16)}`,
    `8${digest.slice(17, 20)}`,
    digest.slice(20, 32),
  ].join('-');
}
