import { DD_MAX_BLOCK_SIZE } from '@instar/operands';
import * as v from 'valibot';
import type { DdOptions } from '../dd-request.js';
import type { OutputEncryption } from '../encryption/output.js';
import type { BackingFile } from '../output/backing.js';
import { CHECKSUM_ALGORITHMS } from '../output/checksum.js';
import { VMDK_SUBFORMATS, type ImageLayout } from '../output/layout.js';
import type { InfoOptions, InspectOptions, ManyOptions } from '../info.js';
import { SAFETY_CHECKS } from '../safety.js';
import type { CheckOptions } from '../operations/check.js';
import type { CompareOptions } from '../operations/compare.js';
import type { ConvertOptions } from '../operations/convert.js';
import type { CreateOptions } from '../operations/create.js';
import type { MapOptions } from '../operations/map.js';
import type { MeasureOptions, MeasureTarget } from '../operations/measure.js';
import type { DiskRange, StreamRange } from '../operations/open-image.js';
import type { ReadOptions } from '../operations/reading.js';
import { IMAGE_DIRECTORY_ONLY, type PathPolicy } from '../path-policy.js';
import { checked } from './check.js';
import { callback, fileName, fileNames, oneOf, options, size, whole, yesNo, type Fields } from './kinds.js';

const MAX_DESCRIPTOR = 0x7fff_ffff;
const formatName = v.string('the name of a format, such as raw or qcow2');

const descriptor = (() => {
  const what = 'an open file descriptor: an integer from 0';
  return v.pipe(v.number(what), v.integer(what), v.minValue(0, what), v.maxValue(MAX_DESCRIPTOR, what));
})();

const concurrency = whole(1, 1024);

const endpoint = v.union(
  [options(() => ({ path: fileName })), options(() => ({ stream: descriptor }))],
  'either { path: … } for a file, or { stream: … } for a descriptor',
);

/** Which files an image may draw in. */
export const pathPolicy = options(
  () =>
    ({
      references: oneOf('refuse', 'within-directories'),
      allowedDirectories: v.array(fileName, 'an array of directories'),
    }) satisfies Fields<PathPolicy>,
);

const MOST_UINT32 = 0xffff_ffff;
/** Ten minutes (milliseconds). */
const MOST_ITER_TIME = 600_000;

const layoutFields = {
  clusterSize: v.optional(whole(1, MOST_UINT32)),
  compressionType: v.optional(oneOf('zlib', 'zstd')),
  compress: v.optional(yesNo),
  compressLevel: v.optional(oneOf('fast', 'default', 'best')),
  version: v.optional(v.picklist([2, 3], '2 or 3')),
  refcountBits: v.optional(whole(1, MOST_UINT32)),
  lazyRefcounts: v.optional(yesNo),
  extendedL2: v.optional(yesNo),
  preallocation: v.optional(oneOf('off', 'metadata', 'falloc', 'full')),
  subformat: v.optional(oneOf('dynamic', 'fixed', ...VMDK_SUBFORMATS)),
  dataFile: v.optional(fileName),
  dataFileRaw: v.optional(yesNo),
  tableSize: v.optional(whole(1, MOST_UINT32)),
  forceSize: v.optional(yesNo),
  blockSize: v.optional(whole(1, MOST_UINT32)),
  adapterType: v.optional(oneOf('ide', 'buslogic', 'lsilogic', 'legacyESX')),
  hardwareVersion: v.optional(whole(1, MOST_UINT32)),
  toolsVersion: v.optional(whole(1, MOST_UINT32)),
  zeroedGrains: v.optional(yesNo),
  logSize: v.optional(whole(1, MOST_UINT32)),
} satisfies Fields<ImageLayout>;
const layout = options(() => layoutFields);

const backing = options(() => ({ file: fileName, format: formatName }) satisfies Fields<BackingFile>);

const encryption = options(
  () =>
    ({
      passphrase: v.union([v.string(), v.instance(Uint8Array)], 'a passphrase: text or bytes'),
      keyBits: v.optional(v.picklist([128, 256], '128 or 256')),
      mode: v.optional(oneOf('xts', 'cbc')),
      ivGenerator: v.optional(oneOf('plain', 'plain64', 'essiv')),
      ivHash: v.optional(oneOf('sha256')),
      hash: v.optional(oneOf('sha1', 'sha224', 'sha256', 'sha384', 'sha512')),
      iterTimeMs: v.optional(whole(1, MOST_ITER_TIME)),
      version: v.optional(v.picklist([1, 2], '1 or 2')),
    }) satisfies Fields<OutputEncryption>,
);

/** An internal snapshot. */
export const snapshot = v.union(
  [v.string(), options(() => ({ id: v.optional(v.string()), name: v.optional(v.string()) }))],
  'the id or name of a snapshot, or { id: …, name: … }',
);

const dd = options(
  () =>
    ({
      input: endpoint,
      output: endpoint,
      pathPolicy: v.optional(pathPolicy, IMAGE_DIRECTORY_ONLY as v.InferInput<typeof pathPolicy>),
      inputFormat: v.optional(formatName),
      outputFormat: v.optional(formatName),
      layout: v.optional(layout),
      encryption: v.optional(encryption),
      blockSize: v.optional(size(1n, DD_MAX_BLOCK_SIZE)),
      count: v.optional(size()),
      skip: v.optional(size()),
      seek: v.optional(size()),
      inputSize: v.optional(size()),
      outputSize: v.optional(size()),
      sparse: v.optional(yesNo),
      noClobber: v.optional(yesNo),
      forceShare: v.optional(yesNo),
      replaceInUse: v.optional(yesNo),
      strict: v.optional(yesNo),
      snapshot: v.optional(snapshot),
      force: v.optional(yesNo),
    }) satisfies Fields<DdOptions>,
);

const describing = {
  format: v.optional(formatName),
  forceShare: v.optional(yesNo),
  strict: v.optional(yesNo),
  backingChain: v.optional(pathPolicy),
  pathPolicy: v.optional(pathPolicy),
};

const info = options(() => describing satisfies Fields<InfoOptions>);

const inspect = options(
  () =>
    ({
      ...describing,
      require: v.optional(
        v.pipe(v.array(oneOf(...SAFETY_CHECKS), 'an array of checks'), v.minLength(1, 'one check at least')),
      ),
    }) satisfies Fields<InspectOptions>,
);

const many = options(() => ({ ...describing, concurrency: v.optional(concurrency) }) satisfies Fields<ManyOptions>);

const reading = {
  snapshot: v.optional(snapshot),
  format: v.optional(formatName),
  pathPolicy: v.optional(pathPolicy),
  forceShare: v.optional(yesNo),
  strict: v.optional(yesNo),
};

const openImage = options(() => reading satisfies Fields<ReadOptions>);

const convert = options(
  () =>
    ({
      ...reading,
      outputFormat: v.optional(formatName),
      layout: v.optional(layout),
      encryption: v.optional(encryption),
      backing: v.optional(backing),
      sparse: v.optional(yesNo),
      sparseSize: v.optional(size()),
      existing: v.optional(yesNo),
      targetIsZero: v.optional(yesNo),
      writeRate: v.optional(size(1n)),
      reflink: v.optional(oneOf('auto', 'never')),
      salvage: v.optional(yesNo),
      bitmaps: v.optional(v.union([yesNo, v.literal('skipBroken')], 'true, false or skipBroken')),
      checksums: v.optional(v.array(oneOf(...CHECKSUM_ALGORITHMS), 'an array of algorithms')),
      replaceInUse: v.optional(yesNo),
      noClobber: v.optional(yesNo),
      force: v.optional(yesNo),
    }) satisfies Fields<ConvertOptions>,
);

const create = options(
  () =>
    ({
      size: v.optional(size()),
      format: v.optional(formatName),
      layout: v.optional(layout),
      encryption: v.optional(encryption),
      backing: v.optional(backing),
      checkBacking: v.optional(yesNo),
      replaceInUse: v.optional(yesNo),
      noClobber: v.optional(yesNo),
      force: v.optional(yesNo),
    }) satisfies Fields<CreateOptions & { readonly size: bigint | number | undefined }>,
);

const diskRange = { start: v.optional(size()), length: v.optional(size()) };
const range = options(() => diskRange satisfies Fields<DiskRange>);

const readRange = options(() => ({ start: size(), length: size() }) satisfies Fields<DiskRange>);
const streamRange = options(
  () => ({ start: v.optional(size()), end: v.optional(size()) }) satisfies Fields<StreamRange>,
);

const map = options(
  () =>
    ({
      ...reading,
      ...diskRange,
    }) satisfies Fields<MapOptions>,
);

const compare = options(
  () =>
    ({
      firstFormat: v.optional(formatName),
      secondFormat: v.optional(formatName),
      pathPolicy: v.optional(pathPolicy),
      forceShare: v.optional(yesNo),
      strict: v.optional(yesNo),
    }) satisfies Fields<CompareOptions>,
);

const check = options(
  () =>
    ({
      format: v.optional(formatName),
      pathPolicy: v.optional(pathPolicy),
      forceShare: v.optional(yesNo),
      onFinding: v.optional(callback),
      fileParts: v.optional(whole(0, 4096)),
      onFilePart: v.optional(callback),
    }) satisfies Fields<CheckOptions>,
);

const measure = options(
  () =>
    ({
      ...reading,
      target: v.optional(
        options(
          () =>
            ({
              ...layoutFields,
              format: v.optional(formatName),
              allocated: v.optional(yesNo),
              luksVersion: v.optional(v.picklist([1, 2], '1 or 2')),
            }) satisfies Fields<MeasureTarget>,
        ),
      ),
    }) satisfies Fields<MeasureOptions>,
);

/** @throws EngineError `INVALID_OPTION` */
export function checkMapOptions(value: MapOptions): v.InferOutput<typeof map> {
  return checked(map, 'options', value);
}

/** @throws EngineError `INVALID_OPTION` */
export function checkEndpoint(value: { readonly stream: number }): v.InferOutput<typeof endpoint> {
  return checked(endpoint, 'endpoint', value);
}

/** @throws EngineError `INVALID_OPTION` */
export function checkConvertOptions(value: ConvertOptions): v.InferOutput<typeof convert> {
  return checked(convert, 'options', value);
}

/** @throws EngineError `INVALID_OPTION` */
export function checkCreateOptions(
  value: CreateOptions & { readonly size: bigint | number | undefined },
): v.InferOutput<typeof create> {
  return checked(create, 'options', value);
}

/** @throws EngineError `INVALID_OPTION` */
export function checkReadOptions(value: ReadOptions): v.InferOutput<typeof openImage> {
  return checked(openImage, 'options', value);
}

/** @throws EngineError `INVALID_OPTION` */
export function checkRange(value: DiskRange): v.InferOutput<typeof range> {
  return checked(range, 'range', value);
}

/** @throws EngineError `INVALID_OPTION` */
export function checkReadRange(value: DiskRange): v.InferOutput<typeof readRange> {
  return checked(readRange, 'range', value);
}

/** @throws EngineError `INVALID_OPTION` */
export function checkStreamRange(value: StreamRange): v.InferOutput<typeof streamRange> {
  return checked(streamRange, 'range', value);
}

/** @throws EngineError `INVALID_OPTION` */
export function checkOnFinding(value: CheckOptions['onFinding']): CheckOptions['onFinding'] {
  checked(v.optional(callback), 'onFinding', value);
  return value;
}

/** @throws EngineError `INVALID_OPTION` */
export function checkCheckOptions(value: CheckOptions): CheckOptions {
  return checked(check, 'options', value) as CheckOptions;
}

/** @throws EngineError `INVALID_OPTION` */
export function checkCompareOptions(value: CompareOptions): v.InferOutput<typeof compare> {
  return checked(compare, 'options', value);
}

/** @throws EngineError `INVALID_OPTION` */
export function checkMeasureOptions(value: MeasureOptions): v.InferOutput<typeof measure> {
  return checked(measure, 'options', value);
}

/** Options of dd with the safe policy where none was given. */
export type CheckedDdOptions = v.InferOutput<typeof dd>;

/** @throws EngineError `INVALID_OPTION` */
export function checkDdOptions(value: DdOptions): CheckedDdOptions {
  return checked(dd, 'options', value);
}

/** @throws EngineError `INVALID_OPTION` */
export function checkInfoOptions(value: InfoOptions): InfoOptions {
  return checked(info, 'options', value);
}

/** @throws EngineError `INVALID_OPTION` */
export function checkInspectOptions(value: InspectOptions): InspectOptions {
  return checked(inspect, 'options', value);
}

/** @throws EngineError `INVALID_OPTION` */
export function checkManyOptions(value: ManyOptions): ManyOptions {
  return checked(many, 'options', value);
}

/** @throws EngineError `INVALID_OPTION` */
export function checkFileName(value: string): string {
  return checked(fileName, 'file', value);
}

/** @throws EngineError `INVALID_OPTION` */
export function checkFileNames(value: Iterable<string> | AsyncIterable<string>): void {
  checked(fileNames, 'files', value);
}

/** The size of a disk. @throws EngineError `INVALID_OPTION` */
export function checkSize(value: bigint | number): bigint {
  return checked(size(), 'size', value);
}

/** The name of a snapshot or a bitmap. @throws EngineError `INVALID_OPTION` */
export function checkName(value: string): string {
  return checked(v.string('a name'), 'name', value);
}
