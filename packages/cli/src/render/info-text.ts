import {
  escapeText,
  type ImageDescription,
  type SafetyStatus,
  type SafetyVerdict,
  type Snapshot,
  type VmdkDetails,
} from '@instar/engine';
import { roundUpToSector } from '@instar/operands';
import { openedExtents, ownSize } from './info-extents.js';
import { luksLines } from './info-luks.js';
import { humanSize } from './size.js';

function two(value: number | bigint): string {
  return value.toString().padStart(2, '0');
}

const SNAPSHOT_HEAD = 'ID      TAG               VM_SIZE                DATE        VM_CLOCK     ICOUNT';

/** The list of an image's snapshots, as `qemu-img` shows it; nothing where there are none. */
export function snapshotLines(snapshots: readonly Snapshot[]): readonly string[] {
  return snapshots.length === 0 ? [] : ['Snapshot list:', SNAPSHOT_HEAD, ...snapshots.map(snapshotLine)];
}

function snapshotLine(item: Snapshot): string {
  const date = new Date(item.dateSeconds * 1000);
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  const seconds = item.vmClockNanoseconds / 1_000_000_000n;
  const thousandths = (item.vmClockNanoseconds / 1_000_000n) % 1000n;
  const clock = `${(seconds / 3600n).toString().padStart(4, '0')}:${two((seconds / 60n) % 60n)}:${two(seconds % 60n)}.${thousandths.toString().padStart(3, '0')}`;
  return [
    escapeText(item.id).padEnd(7),
    escapeText(item.name).padEnd(16),
    humanSize(item.vmStateSize).padStart(8),
    `${day} ${time}`,
    clock.padStart(15),
    item.instructionCount === undefined ? '' : item.instructionCount.toString().padStart(10),
  ]
    .join(' ')
    .trimEnd();
}

const WORDS: Readonly<Record<SafetyStatus, string>> = { pass: 'pass', fail: 'FAIL', unknown: '?   ' };

/** The verdict on one line: what somebody wants to know before all else. */
export function verdictLine({ safe, checks }: SafetyVerdict): string {
  if (safe) return 'safety: safe';
  const words = checks.filter(({ status }) => status !== 'pass').map(({ name, status }) => `${name} ${status}`);
  return `safety: NOT safe (${words.join(', ')})`;
}

/** Each check as a line: a word, and its ground. */
function checkLines({ checks }: SafetyVerdict): readonly string[] {
  const lines = checks.map((check) => `    ${WORDS[check.status]}  ${check.name}: ${check.evidence}`);
  return ['safety checks:', ...lines];
}

/** A file that the image lies in; its length counts whole sectors, as qemu-img counts it. */
function childLines(name: string, filename: string, bytes: bigint, actualSize: bigint): string[] {
  const length = roundUpToSector(bytes);
  return [
    `Child node '/${name}':`,
    `    filename: ${escapeText(filename)}`,
    '    protocol type: file',
    `    file length: ${humanSize(length)} (${length} bytes)`,
    `    disk size: ${humanSize(actualSize)}`,
  ];
}

function fileLines(image: ImageDescription): string[] {
  return [
    ...openedExtents(image).flatMap(({ number, file }) =>
      childLines(`extents.${number}`, file.path, file.length, file.actualSize),
    ),
    ...childLines('file', image.filename, image.fileLength, ownSize(image)),
  ];
}

function vmdkLines({ contentId, parentContentId, createType, extents }: VmdkDetails): string[] {
  return [
    'Format specific information:',
    `    cid: ${contentId}`,
    `    parent cid: ${parentContentId}`,
    `    create type: ${escapeText(createType)}`,
    '    extents:',
    ...extents.flatMap((extent, number) => [
      `        [${number}]:`,
      ...(extent.compressed ? ['            compressed: true'] : []),
      `            virtual size: ${extent.virtualSize}`,
      `            filename: ${escapeText(extent.filename)}`,
      ...(extent.clusterSize === undefined ? [] : [`            cluster size: ${extent.clusterSize}`]),
      `            format: ${extent.format}`,
    ]),
  ];
}

/** Formats of which qemu-img does not tell the size of their clusters. */
const WITHOUT_CLUSTER_LINE: ReadonlySet<string> = new Set(['parallels']);

/** Colours a verdict. */
export type PaintVerdict = (safe: boolean, text: string) => string;

/** An image for people, in the order and wording of `qemu-img info`. Text of the image is escaped. */
export function infoText(
  image: ImageDescription,
  { additions, paint = (_safe, text) => text }: { readonly additions: boolean; readonly paint?: PaintVerdict },
): string {
  const { qcow2, luks } = image;
  const lines = [
    ...(additions ? [paint(image.safety.safe, verdictLine(image.safety))] : []),
    `image: ${escapeText(image.filename)}`,
    `file format: ${image.format}`,
    `virtual size: ${humanSize(image.virtualSize)} (${image.virtualSize} bytes)`,
    `disk size: ${humanSize(image.actualSize)}`,
  ];
  if (image.encrypted) lines.push('encrypted: yes');
  if (image.clusterSize !== undefined && !WITHOUT_CLUSTER_LINE.has(image.format))
    lines.push(`cluster_size: ${image.clusterSize}`);
  if (image.dirty) lines.push('cleanly shut down: no');
  if (additions && image.content?.name !== undefined) lines.push(`content: ${image.content.text}`);
  if (image.backingFilename !== undefined) {
    const actual = image.fullBackingFilename ?? image.backingFilename;
    const note = actual === image.backingFilename ? '' : ` (actual path: ${escapeText(actual)})`;
    lines.push(`backing file: ${escapeText(image.backingFilename)}${note}`);
    if (image.backingFormat !== undefined) lines.push(`backing file format: ${escapeText(image.backingFormat)}`);
  }
  lines.push(...snapshotLines(image.snapshots));
  if (qcow2 !== undefined) {
    lines.push('Format specific information:', `    compat: ${qcow2.compat}`);
    lines.push(`    compression type: ${qcow2.compressionType}`);
    if (qcow2.compat !== '0.10') lines.push(`    lazy refcounts: ${qcow2.lazyRefcounts}`);
    for (const [index, item] of qcow2.bitmaps.entries()) {
      if (index === 0) lines.push('    bitmaps:');
      lines.push(`        [${index}]:`);
      lines.push('            flags:', ...item.flags.map((flag, at) => `                [${at}]: ${flag}`));
      lines.push(`            name: ${escapeText(item.name)}`, `            granularity: ${item.granularity}`);
    }
    lines.push(`    refcount bits: ${qcow2.refcountBits}`);
    if (qcow2.encryption === 'aes') lines.push('    encrypt:', '        format: aes');
    if (qcow2.encryption === 'luks' && luks !== undefined)
      lines.push('    encrypt:', ...luksLines(luks, '        ', 'luks'));
    if (qcow2.dataFile !== undefined) {
      lines.push(`    data file: ${escapeText(qcow2.dataFile)}`, `    data file raw: ${qcow2.dataFileRaw}`);
    }
    if (qcow2.compat !== '0.10') lines.push(`    corrupt: ${qcow2.corrupt}`);
    if (qcow2.compat !== '0.10') lines.push(`    extended l2: ${qcow2.extendedL2}`);
  }
  if (qcow2 === undefined && luks !== undefined) {
    lines.push('Format specific information:', ...luksLines(luks, '    ', undefined));
  }
  if (image.vmdk !== undefined) lines.push(...vmdkLines(image.vmdk));
  lines.push(...fileLines(image));
  if (additions) lines.push(...checkLines(image.safety));
  return `${lines.join('\n')}\n`;
}
