import { openImage, shownName, type OperationControl, type PathPolicy } from '@instar/engine';
import { writeText } from './output.js';
import { mapPage, mapSvg } from './page.js';
import { plotLines } from './plot.js';
import { summarize } from './summary.js';

const DEFAULT_COLUMNS = 80;

/** Pictures of a map that were asked for. */
export interface Pictures {
  readonly html?: string | undefined;
  readonly svg?: string | undefined;
  readonly plot?: boolean | undefined;
}

/**
 * Draws the map of an image.
 * @throws EngineError
 */
export async function drawMap(
  file: string,
  { html, svg, plot }: Pictures,
  options: {
    readonly format?: string | undefined;
    readonly forceShare?: boolean | undefined;
    readonly pathPolicy: PathPolicy;
  },
  control: OperationControl,
): Promise<void> {
  const image = await openImage(file, options, control);
  try {
    const [own, ...below] = image.infoChain();
    if (own === undefined) throw new RangeError('an open image has no layer');
    const { virtualSize, fileLength } = own;
    const summary = await summarize(image.extents(), { file: shownName(file), virtualSize, fileLength });
    const subject = { images: [own, ...below], summary } as const;
    if (html !== undefined) await writeText(html, await mapPage(subject), file);
    if (svg !== undefined) await writeText(svg, mapSvg(subject), file);
    if (plot === true) {
      const columns = process.stdout.isTTY ? process.stdout.columns : DEFAULT_COLUMNS;
      process.stdout.write(plotLines(summary, columns));
    }
  } finally {
    await image.close();
  }
}
