import type { ImageDescription, SafetyVerdict } from '@instar/engine';
import { humanSize } from '../render/size.js';
import { filePicture, gridPicture, KIND_NAMES, placesPicture, svgElement, USE_NAMES, usesInAll } from './drawing.js';
import { markup } from './markup.js';
import { PAGE_STYLE, SVG_STYLE } from './style.js';
import { FILE_USES, kindOf, MOST_LISTED, RANGE_KINDS, type MapSummary } from './summary.js';

/** All that a page shows. */
export interface MapSubject {
  /** The named image first. */
  readonly images: readonly [ImageDescription, ...ImageDescription[]];
  readonly summary: MapSummary;
}

function chips({ safe, checks }: SafetyVerdict): string {
  const each = checks.map(
    ({ name, status, evidence }) => `<li class="${status}" title="${markup(evidence)}">${markup(name)}: ${status}</li>`,
  );
  return `<ul class="chips" aria-label="safety checks"><li class="${safe ? 'pass' : 'fail'}"><strong>${safe ? 'safe' : 'not safe'}</strong></li>${each.join('')}</ul>`;
}

function size(bytes: bigint): string {
  return `<td class="number">${markup(humanSize(bytes))}</td><td class="number">${bytes}</td>`;
}

function legend({ bytes, virtualSize }: MapSummary): string {
  const keys = RANGE_KINDS.map((kind) => {
    const share = virtualSize === 0n ? 0 : Number((bytes[kind] * 1000n) / virtualSize) / 10;
    return `${key(kind)}${KIND_NAMES[kind]} ${share} %`;
  });
  const more = `<svg class="key" width="13" height="13" aria-hidden="true"><rect class="data below" width="13" height="13"/></svg>in a layer below<svg class="key" width="13" height="13" aria-hidden="true"><rect class="behind" x="0.5" y="0.5" width="12" height="12"/></svg>behind the end`;
  return `<p class="note">${keys.join('')}${more}</p>`;
}

function key(name: string): string {
  return `<svg class="key" width="13" height="13" aria-hidden="true"><rect class="${name}" width="13" height="13"/></svg>`;
}

/** What the colours of the strip of the file mean. */
function fileLegend(summary: MapSummary): string {
  const uses = usesInAll(summary);
  if (uses === undefined) {
    return '<p class="note">Blue: data of the disk as it is. The rest is header, tables, compressed clusters, and what is free.</p>';
  }
  const keys = FILE_USES.map((use) => `${key(use)}${USE_NAMES[use]} ${markup(humanSize(uses[use]))}`);
  return `<p class="note">${keys.join('')}</p>`;
}

function layersTable({ images, summary }: MapSubject): string {
  const rows = images.map(
    (image, depth) =>
      `<tr><td>${depth}</td><td>${markup(image.filename)}</td><td>${markup(image.format)}</td>${size(summary.layerBytes[depth] ?? 0n)}${size(image.fileLength)}</tr>`,
  );
  return (
    '<table><thead><tr><th scope="col">layer</th><th scope="col">file</th><th scope="col">format</th><th scope="col" colspan="2">of the disk</th><th scope="col" colspan="2">length</th></tr></thead>' +
    `<tbody>${rows.join('')}</tbody></table>`
  );
}

function numbersTable({ images: [image], summary }: MapSubject): string {
  const rows: readonly (readonly [string, bigint])[] = [
    ['disk', summary.virtualSize],
    ['file', summary.fileLength],
    ['taken on its file system', image.actualSize],
    ...RANGE_KINDS.map((kind) => [KIND_NAMES[kind], summary.bytes[kind]] as const),
    ...Object.entries(usesInAll(summary) ?? {}).map(([use, bytes]) => [`${use} in the file`, bytes] as const),
  ];
  const plain = `<tr><th scope="row">extents</th><td></td><td class="number">${summary.extentCount}</td></tr><tr><th scope="row">jumps in the file</th><td></td><td class="number">${summary.jumps}</td></tr>`;
  return `<table><tbody>${rows.map(([name, bytes]) => `<tr><th scope="row">${name}</th>${size(bytes)}</tr>`).join('')}${plain}</tbody></table>`;
}

function extentsTable({ extents, extentCount }: MapSummary): string {
  const rows = extents.map(
    (extent) =>
      `<tr><td class="number">${extent.start}</td><td class="number">${extent.length}</td><td>${KIND_NAMES[kindOf(extent)]}</td><td class="number">${extent.depth}</td><td class="number">${extent.offset ?? ''}</td><td>${markup(extent.filename ?? '')}</td></tr>`,
  );
  const left = extentCount - extents.length;
  const rest =
    left > 0
      ? `<p class="note">and ${left} more: instar map --output=json lists all (here are ${MOST_LISTED}).</p>`
      : '';
  return (
    '<table><thead><tr><th scope="col">start</th><th scope="col">length</th><th scope="col">kind</th><th scope="col">layer</th><th scope="col">offset</th><th scope="col">file</th></tr></thead>' +
    `<tbody>${rows.join('')}</tbody></table>${rest}`
  );
}

async function digest(text: string): Promise<string> {
  const bytes = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text));
  return Buffer.from(bytes).toString('base64');
}

/**
 * One page that needs nothing else: no script, no request. Names in the image are text only, and a policy in the page forbids
 * all but its own style.
 */
export async function mapPage(subject: MapSubject): Promise<string> {
  const { images, summary } = subject;
  const [image] = images;
  const policy = `default-src 'none'; style-src 'sha256-${await digest(PAGE_STYLE)}'; base-uri 'none'; form-action 'none'`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${markup(image.filename)}: map</title>
<style>${PAGE_STYLE}</style>
</head>
<body>
<main>
<h1>${markup(image.filename)}</h1>
<p>${markup(image.format)}, a disk of ${humanSize(summary.virtualSize)} in a file of ${humanSize(summary.fileLength)}</p>
${chips(image.safety)}
<h2>The disk</h2>
${svgElement(gridPicture(summary))}
${legend(summary)}
<h2>The file, to scale</h2>
${svgElement(filePicture(summary))}
${fileLegend(summary)}
<h2>Where data lies</h2>
${svgElement(placesPicture(summary))}
<p class="note">To the right: places on the disk; upwards: places in the file. One line upwards is a file in order.</p>
<h2>Layers</h2>
${layersTable(subject)}
<h2>Numbers</h2>
${numbersTable(subject)}
<h2>Extents</h2>
${extentsTable(summary)}
</main>
</body>
</html>
`;
}

/** The grid and the strip as one picture. */
export function mapSvg({ images: [image], summary }: MapSubject): string {
  const [grid, strip] = [gridPicture(summary), filePicture(summary)];
  const height = grid.height + strip.height + 72;
  const name = `${image.filename}: ${grid.name}`;
  return `<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${grid.width} ${height}" width="${grid.width}" height="${height}" role="img">
<title>${markup(name)}</title><style>${SVG_STYLE}</style>
<text x="0" y="16">${markup(image.filename)} (${markup(image.format)}): the disk, ${humanSize(summary.virtualSize)}</text>
<g transform="translate(0 26)">${grid.content}</g>
<text x="0" y="${grid.height + 50}">the file, ${humanSize(summary.fileLength)}</text>
<g transform="translate(0 ${grid.height + 60})">${strip.content}</g>
</svg>
`;
}
