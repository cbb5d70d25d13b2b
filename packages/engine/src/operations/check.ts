import { escapeText } from '@instar/host-files';
import { nameOf } from '@instar/layout';
import {
  CHECK_RESULT_MAGIC,
  CheckConfig,
  CheckResult,
  FINDING_KIND,
  FilePartRecord,
  FindingRecord,
} from '@instar/shared-abi';
import { openChain } from '../chain.js';
import { forcedFormat } from '../formats.js';
import { formatName } from '../format-names.js';
import { openInput } from '../input-file.js';
import { guestContext, type OperationControl } from '../operation.js';
import { checkControl } from '../options/control.js';
import { checkCheckOptions, checkFileName } from '../options/operations.js';
import { IMAGE_DIRECTORY_ONLY, type PathPolicy } from '../path-policy.js';
import { perform } from '../session/operation.js';
import { impossibleResult } from '../session/outcome.js';
import { GuestSession } from '../session/session.js';
import { dataFilePutBack } from './data-file.js';
import { ScratchFile } from './scratch.js';

/** Something that a check found. */
export interface CheckFinding {
  /** A contradiction that may have made data wrong, or room that is taken and not used. */
  readonly kind: 'corruption' | 'leak';
  /** One sentence, which may be shown as it is. */
  readonly text: string;
  /** Where in the file (byte offset). */
  readonly offset: bigint;
  /** What was found there. */
  readonly value: bigint;
  /** What belongs there, of refcounts. */
  readonly expected: bigint;
}

/** What a part of a file is used for, in bytes of each use. */
export interface FilePartUse {
  /** Which of the equal parts, from 0. */
  readonly number: number;
  readonly header: bigint;
  /** Tables, lists and bitmaps. */
  readonly tables: bigint;
  /** Data as it is. */
  readonly data: bigint;
  readonly compressed: bigint;
  /** Taken, and used by nothing. */
  readonly leaked: bigint;
  /** Not taken. */
  readonly free: bigint;
}

/** How an image is checked. */
export interface CheckOptions {
  /** Format that is forced instead of a probe. */
  readonly format?: string | undefined;
  /** Which files an image that lies in several may draw in (default: those of its own directory). */
  readonly pathPolicy?: PathPolicy | undefined;
  /** Check an image that another process has locked. */
  readonly forceShare?: boolean | undefined;
  /** Called with each finding, in the order in which they are found; there may be as many as clusters. */
  readonly onFinding?: ((finding: CheckFinding) => void) | undefined;
  /** Equal parts of the file whose uses are told to `onFilePart`, at most 4096 (default 0; qcow2). */
  readonly fileParts?: number | undefined;
  /** Called with each of them, in their order. */
  readonly onFilePart?: ((part: FilePartUse) => void) | undefined;
}

/** What a check counted. */
export interface CheckReport {
  readonly format: string;
  /** Whether there is anything to check in images of the format; all numbers are 0 where there is not. */
  readonly supported: boolean;
  readonly corruptions: bigint;
  readonly leaks: bigint;
  /** Clusters of the disk. */
  readonly totalClusters: bigint;
  /** Clusters of the disk that have bytes in the file; of those: */
  readonly allocatedClusters: bigint;
  readonly compressedClusters: bigint;
  /** … the ones that do not follow their predecessor. */
  readonly fragmentedClusters: bigint;
  /** End of the last cluster that is in use (byte offset in the file). */
  readonly imageEnd: bigint;
}

const KINDS = { CORRUPTION: 'corruption', LEAK: 'leak' } as const;
const decoder = new TextDecoder();

/**
 * Checks an image's metadata against itself, as `qemu-img check` does, and changes nothing. The image is parsed inside a sandbox
 * only; of the files that it names only those are opened that hold its extents.
 * @throws EngineError
 */
export async function check(
  file: string,
  givenOptions: CheckOptions = {},
  givenControl: OperationControl = {},
): Promise<CheckReport> {
  checkFileName(file);
  const options = checkCheckOptions(givenOptions);
  const session = new GuestSession(guestContext(checkControl(givenControl)));
  const forced = forcedFormat(options.format, file);
  const forceShare = options.forceShare === true;
  const references = options.pathPolicy ?? IMAGE_DIRECTORY_ONLY;
  const input = await openInput(file, forceShare, session.context, dataFilePutBack(session.context, references));
  const chain = await openChain(input, forced, { references, forceShare, strict: false, alone: true }, session);
  try {
    const scratch = await ScratchFile.create();
    try {
      session.add(scratch.device);
      const { format } = chain.layers[0].info;
      const { onFinding, fileParts, onFilePart } = options;
      return await checkImage(session, scratch, { file, format, last: true, onFinding, fileParts, onFilePart });
    } finally {
      await session.close();
      await scratch.close();
    }
  } finally {
    await chain.close();
  }
}

/**
 * Checks the named image of a session.
 * @param scratch a device of the session already
 * @throws EngineError where it cannot be read
 */
export async function checkImage(
  session: GuestSession,
  scratch: ScratchFile,
  {
    file,
    format,
    last,
    onFinding,
    fileParts = 0,
    onFilePart,
  }: Pick<CheckOptions, 'onFinding' | 'fileParts' | 'onFilePart'> & {
    readonly file: string;
    /** Number of its format. */
    readonly format: number;
    /** No other request follows. */
    readonly last: boolean;
  },
): Promise<CheckReport> {
  const result = await perform(session, {
    config: CheckConfig.encode({ parts: fileParts }),
    result: CheckResult,
    magic: CHECK_RESULT_MAGIC,
    outputBytes: scratch.limit,
    subject: file,
    last,
  });
  const { corruptions, leaks, finding_count: count } = result;
  // One finding may tell of several clusters.
  if (count > corruptions + leaks + BigInt(fileParts) || count > scratch.limit / BigInt(FindingRecord.size)) {
    throw impossibleResult(file);
  }
  for await (const bytes of scratch.records(FindingRecord.size, count)) {
    const record = FindingRecord.decode(bytes);
    const kind = nameOf(FINDING_KIND, record.kind);
    if (kind === 'PART' && fileParts > 0) {
      const { number, header, tables, data, compressed, leaked, free } = FilePartRecord.decode(bytes);
      if (number >= fileParts) throw impossibleResult(file);
      onFilePart?.({ number, header, tables, data, compressed, leaked, free });
      continue;
    }
    if (kind === undefined || kind === 'PART' || record.text_len > record.text.length) throw impossibleResult(file);
    const text = escapeText(decoder.decode(record.text.subarray(0, record.text_len)));
    const { offset, value, expected } = record;
    onFinding?.({ kind: KINDS[kind], text, offset, value, expected });
  }
  return {
    format: formatName(format),
    supported: result.supported === 1,
    corruptions,
    leaks,
    totalClusters: result.total_clusters,
    allocatedClusters: result.allocated_clusters,
    compressedClusters: result.compressed_clusters,
    fragmentedClusters: result.fragmented_clusters,
    imageEnd: result.image_end,
  };
}
