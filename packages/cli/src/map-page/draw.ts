import {
  check,
  EngineError,
  escapeText,
  openImage,
  shownName,
  type FilePartUse,
  type ImageDescription,
  type OperationControl,
  type PathPolicy,
} from '@instar/engine';
import { writeText } from './output.js';
import { mapPage, mapSvg } from './page.js';
import { plotLines } from './plot.js';
import { FILE_CELLS, summarize } from './summary.js';
import { standardOutput } from '../process/standard-streams.js';

const DEFAULT_COLUMNS = 80;

/** Pictures of a map that were asked for. */
export interface Pictures {
  readonly html?: string | undefined;
  readonly svg?: string | undefined;
  readonly plot?: boolean | undefined;
}

interface Reading {
  readonly format?: string | undefined;
  readonly forceShare?: boolean | undefined;
  readonly pathPolicy: PathPolicy;
}

/** What parts of an image's file are used for; undefined where its metadata does not tell, or cannot be followed. */
async function usesOf(
  file: string,
  { format, fileLength }: ImageDescription,
  options: Reading,
  control: OperationControl,
): Promise<readonly FilePartUse[] | undefined> {
  if (format !== 'qcow2' || fileLength === 0n) return undefined;
  const uses: FilePartUse[] = [];
  const onFilePart = (part: FilePartUse): number => uses.push(part);
  try {
    await check(file, { ...options, format, fileParts: FILE_CELLS, onFilePart }, control);
  } catch (error) {
    // A reader that crashed is told of, whatever else there is to draw.
    if (!(error instanceof EngineError) || error.code === 'ABORTED' || error.code === 'GUEST_FAILED') throw error;
    control.onWarning?.(`${escapeText(file)}: what its file is used for is not drawn: ${error.reason}`);
    return undefined;
  }
  return uses.length === FILE_CELLS ? uses : undefined;
}

/**
 * Draws the map of an image.
 * @throws EngineError
 */
export async function drawMap(
  file: string,
  { html, svg, plot }: Pictures,
  options: Reading,
  control: OperationControl,
): Promise<void> {
  const image = await openImage(file, options, control);
  try {
    const [own, ...below] = image.infoChain();
    if (own === undefined) throw new RangeError('an open image has no layer');
    const { virtualSize, fileLength } = own;
    const fileUses = await usesOf(file, own, options, control);
    const shape = { file: shownName(file), virtualSize, fileLength, fileUses };
    const summary = await summarize(image.extents(), shape);
    const subject = { images: [own, ...below], summary } as const;
    if (html !== undefined) await writeText(html, await mapPage(subject), image.files);
    if (svg !== undefined) await writeText(svg, mapSvg(subject), image.files);
    if (plot === true) {
      const columns = standardOutput.isTTY ? standardOutput.stream.columns : DEFAULT_COLUMNS;
      standardOutput.write(plotLines(summary, columns));
    }
  } finally {
    await image.close();
  }
}
