import { fileURLToPath } from 'node:url';
import { dd as ddPlain } from './dd.js';
import type { DdOptions, DdResult, Endpoint } from './dd-request.js';
import { describedImage, type DescribedImage } from './described-image.js';
import { EngineError } from './errors.js';
import * as described from './info.js';
import type { Described, ImageDescription, InfoOptions, Inspection, InspectOptions, ManyOptions } from './info.js';
import { withJson } from './json.js';
import type { OperationControl } from './operation.js';
import { check as checkPlain, type CheckOptions, type CheckReport } from './operations/check.js';
import { compare as comparePlain, type CompareOptions, type Comparison } from './operations/compare.js';
import {
  convert as convertPlain,
  type ConvertEndpoint,
  type ConvertOptions,
  type ConvertResult,
} from './operations/convert.js';
import { create as createPlain, type CreatedImage, type CreateOptions } from './operations/create.js';
import { map as mapPlain, type MapOptions, type MappedExtent } from './operations/map.js';
import {
  measure as measurePlain,
  measureSize as measureSizePlain,
  type MeasureOptions,
  type Measurement,
  type MeasureTarget,
} from './operations/measure.js';
import { openImage as openImagePlain, type Image } from './operations/open-image.js';
import type { ReadOptions } from './operations/reading.js';
import { IMAGE_DIRECTORY_ONLY } from './path-policy.js';
import type { SafetyVerdict } from './safety.js';

// The face of this package: every function is `verb(subject, options)`. What an operation does and how it runs (signal,
// limits, sandbox) stand in one object; a third argument with the latter is the old shape, which is still taken. Results
// have a `toJSON()`.

/** A path, or a `file:` URL. */
export type FileName = string | URL;

/** An input or an output, whose path may be a URL. */
export type FileEndpoint = { readonly path: FileName } | { readonly stream: number };

/** What of the options says how an operation runs. */
const CONTROLS: Readonly<Record<keyof OperationControl, true>> = {
  signal: true,
  onProgress: true,
  onWarning: true,
  onDetail: true,
  sandbox: true,
  isolation: true,
  limits: true,
  remote: true,
  passphrases: true,
  dumpOnCrash: true,
  dumps: true,
  onDump: true,
  trace: true,
};

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What is done and how it runs, apart. */
export function apart<O extends object>(
  given: O & OperationControl,
  control: OperationControl,
): readonly [O, OperationControl] {
  // What is neither is told by those who check it.
  if (!isRecord(given) || !isRecord(control)) return [given, control];
  const entries = Object.entries(given);
  const isControl = ([name]: readonly [string, unknown]): boolean => Object.hasOwn(CONTROLS, name);
  if (!entries.some(isControl)) return [given, control];
  const options = Object.fromEntries(entries.filter((entry) => !isControl(entry)));
  return [options as O, { ...Object.fromEntries(entries.filter(isControl)), ...control }];
}

/** @throws EngineError `INVALID_OPTION` */
export function pathOf(file: FileName): string {
  if (!(file instanceof URL)) return file;
  try {
    return fileURLToPath(file);
  } catch (error) {
    throw new EngineError('INVALID_OPTION', `file: found a URL with ${file.protocol}, expected a path or a file: URL`, {
      cause: error,
    });
  }
}

function endpointOf(endpoint: FileEndpoint): Endpoint {
  return isRecord(endpoint) && 'path' in endpoint ? { ...endpoint, path: pathOf(endpoint.path) } : endpoint;
}

/**
 * Copies a window of a disk image, as `qemu-img dd` does. The image is parsed inside a sandbox only.
 * @throws EngineError; the output is then as it was before (unless `seek` wrote into it).
 */
export async function dd(
  options: Omit<DdOptions, 'input' | 'output'> & {
    readonly input: FileEndpoint;
    readonly output: FileEndpoint;
  } & OperationControl,
  control: OperationControl = {},
): Promise<DdResult> {
  // From plain JavaScript: its checks say what is wrong.
  if (!isRecord(options)) return ddPlain(options as unknown as DdOptions, control);
  const [rest, how] = apart<typeof options>(options, control);
  return withJson(await ddPlain({ ...rest, input: endpointOf(rest.input), output: endpointOf(rest.output) }, how));
}

/**
 * Describes an image. No file but the named one is opened, unless `backingChain` says which files it may draw in.
 * @throws EngineError
 */
export async function info(
  file: FileName,
  options: InfoOptions & OperationControl = {},
  control: OperationControl = {},
): Promise<DescribedImage> {
  return withJson(describedImage(await described.info(pathOf(file), ...apart<InfoOptions>(options, control))));
}

/**
 * Describes an image and all below it, the named one first.
 * @param options.backingChain which files it may draw in (default: those of its own directory)
 * @throws EngineError
 */
export async function infoChain(
  file: FileName,
  options: InfoOptions & OperationControl = {},
): Promise<readonly [ImageDescription, ...ImageDescription[]]> {
  const [chosen, control] = apart<InfoOptions>(options, {});
  const { backingChain = IMAGE_DIRECTORY_ONLY, ...rest }: InfoOptions = isRecord(chosen) ? chosen : {};
  // What is not an object at all comes from plain JavaScript, whose checks say what is wrong.
  const asked = isRecord(chosen) ? { ...rest, backingChain } : (chosen as { backingChain: typeof backingChain });
  return withJson(await described.info(pathOf(file), asked, control));
}

/**
 * Describes an image and judges it, from one look at one opened file: what was judged is what is described. Unlike
 * `info` it also judges images that cannot be read: they are not safe. No file but the named one is opened.
 * @throws EngineError when the file itself cannot be opened, or no sandbox works.
 */
export async function inspect(
  file: FileName,
  options: InspectOptions & OperationControl = {},
  control: OperationControl = {},
): Promise<Inspection> {
  return withJson(await described.inspect(pathOf(file), ...apart<InspectOptions>(options, control)));
}

/**
 * The safety verdict of {@link inspect} alone.
 * @throws EngineError when the file itself cannot be opened, or no sandbox works.
 */
export async function checkSafety(
  file: FileName,
  options: InspectOptions & OperationControl = {},
  control: OperationControl = {},
): Promise<SafetyVerdict> {
  return withJson(await described.checkSafety(pathOf(file), ...apart<InspectOptions>(options, control)));
}

async function* each<T>(items: AsyncIterable<T>): AsyncGenerator<T> {
  for await (const item of items) yield withJson(item);
}

async function* oneOfEach(
  found: AsyncIterable<Described<readonly [ImageDescription, ...ImageDescription[]]>>,
): AsyncGenerator<Described<DescribedImage>> {
  for await (const { file, value, error } of found) {
    yield value === undefined ? { file, error } : { file, value: describedImage(value) };
  }
}

/**
 * {@link info} of many images, a few at a time, in the order of their names. One that cannot be described keeps none of the
 * others back.
 * @throws EngineError `ABORTED`, `INVALID_OPTION`
 */
export function infoOfEach(
  files: Iterable<string> | AsyncIterable<string>,
  options: ManyOptions & OperationControl = {},
  control: OperationControl = {},
): AsyncGenerator<Described<DescribedImage>> {
  return each(oneOfEach(described.infoOfEach(files, ...apart<ManyOptions>(options, control))));
}

/**
 * {@link inspect} of many images, as {@link infoOfEach}.
 * @throws EngineError `ABORTED`, `INVALID_OPTION`
 */
export function inspectEach(
  files: Iterable<string> | AsyncIterable<string>,
  options: ManyOptions & InspectOptions & OperationControl = {},
  control: OperationControl = {},
): AsyncGenerator<Described<Inspection>> {
  return each(described.inspectEach(files, ...apart<ManyOptions & InspectOptions>(options, control)));
}

/**
 * Checks an image's metadata against itself, as `qemu-img check` does, and changes nothing. The image is parsed inside a
 * sandbox only; of the files that it names only those are opened that hold its extents.
 * @throws EngineError
 */
export async function check(
  file: FileName,
  options: CheckOptions & OperationControl = {},
  control: OperationControl = {},
): Promise<CheckReport> {
  return withJson(await checkPlain(pathOf(file), ...apart<CheckOptions>(options, control)));
}

/**
 * Compares the disks in two images, of any formats, as `qemu-img compare` does. Both are parsed and read inside one sandbox.
 * @throws EngineError
 */
export async function compare(
  first: FileName,
  second: FileName,
  options: CompareOptions & OperationControl = {},
  control: OperationControl = {},
): Promise<Comparison> {
  return withJson(await comparePlain(pathOf(first), pathOf(second), ...apart<CompareOptions>(options, control)));
}

type Source = ConvertEndpoint | URL;

function sourceOf(source: Source): ConvertEndpoint {
  return source instanceof URL ? pathOf(source) : source;
}

/**
 * Copies the whole disk of an image, through all that it reads from, into an image of another format, as
 * `qemu-img convert` does. The output gets its name when it is complete.
 * @param input one image, or several whose disks become one; one that comes through a stream is saved first
 * @param output a file, or a stream for formats that are written in order: raw, simg and streamOptimized vmdk
 * @throws EngineError; the output is then as it was before (unless it was written in place).
 */
export async function convert(
  input: Source | readonly Source[],
  output: Source,
  options: ConvertOptions & OperationControl = {},
  control: OperationControl = {},
): Promise<ConvertResult> {
  const inputs = Array.isArray(input) ? (input as readonly Source[]).map(sourceOf) : sourceOf(input as Source);
  return withJson(await convertPlain(inputs, sourceOf(output), ...apart<ConvertOptions>(options, control)));
}

/**
 * Creates an image whose disk reads as zeros, or as its backing file, as `qemu-img create` does. The output gets its name
 * when it is complete.
 * @param size bytes of the disk, rounded up to whole sectors; may be left out where a backing file has a size
 * @throws EngineError; the output is then as it was before.
 */
export async function create(
  output: FileName,
  size: bigint | number | undefined,
  options: CreateOptions & OperationControl = {},
  control: OperationControl = {},
): Promise<CreatedImage> {
  return withJson(await createPlain(pathOf(output), size, ...apart<CreateOptions>(options, control)));
}

/**
 * What every range of a disk is made of, through all of its chain, as `qemu-img map` tells it: one extent after the other,
 * in bounded memory. The image is parsed inside a sandbox only; no byte of the disk is read.
 * @throws EngineError while it is read
 */
export async function* map(
  file: FileName,
  options: MapOptions & OperationControl = {},
  control: OperationControl = {},
): AsyncGenerator<MappedExtent> {
  yield* each(mapPlain(pathOf(file), ...apart<MapOptions>(options, control)));
}

/**
 * How long an output becomes when an image is converted, as `qemu-img measure` tells it. The image is parsed inside a sandbox
 * only; no byte of the disk is read.
 * @throws EngineError
 */
export async function measure(
  file: FileName,
  options: MeasureOptions & OperationControl = {},
  control: OperationControl = {},
): Promise<Measurement> {
  return withJson(await measurePlain(pathOf(file), ...apart<MeasureOptions>(options, control)));
}

/**
 * How long an output for a disk of so many bytes becomes, of which nothing is known.
 * @param size virtual size (bytes)
 * @throws EngineError `INVALID_OPTION`, `UNSUPPORTED_FORMAT`
 */
export async function measureSize(
  size: bigint | number,
  target: MeasureTarget & OperationControl = {},
  control: OperationControl = {},
): Promise<Measurement> {
  return withJson(await measureSizePlain(size, ...apart<MeasureTarget>(target, control)));
}

/**
 * Opens an image with everything that it reads from, and keeps it open: whoever asks several things of an image pays for
 * one sandbox. It is parsed inside that sandbox only.
 * @throws EngineError
 */
export async function openImage(
  file: FileName,
  options: ReadOptions & OperationControl = {},
  control: OperationControl = {},
): Promise<Image> {
  return openImagePlain(pathOf(file), ...apart<ReadOptions>(options, control));
}
