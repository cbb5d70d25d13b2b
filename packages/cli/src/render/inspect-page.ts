import { escapeText } from '@instar/engine';
import { valueText, type DumpedField } from './field-dump.js';

/** A value as it was decoded, and the bytes that it was read from. */
export interface Inspected {
  /** What the page calls it: a file and an offset. */
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly leaves: readonly DumpedField[];
}

/** Bytes of a row. */
const COLUMNS = 16;

const escapeHtml = (text: string): string =>
  escapeText(text).replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

const STYLE = `
:root{color-scheme:light dark;font:14px/1.5 ui-monospace,monospace}
body{display:grid;grid-template-columns:max-content 1fr;gap:0 2rem;margin:1rem}
h1{grid-column:1/-1;font-size:1.1rem}h2{font-size:1rem}
h1+div{position:sticky;top:1rem;align-self:start;max-height:95vh;overflow:auto}
table{border-spacing:0}th{font-weight:400;opacity:.6;text-align:left;padding-right:1rem}td{padding:0 .2rem}
ul{list-style:none;margin:0;padding-left:1rem}summary{cursor:pointer}
[data-f]{cursor:pointer}[data-f~="-"]{opacity:.5;cursor:default}
.odd{background:color-mix(in srgb,currentColor 8%,transparent)}
.changed{color:#c33;font-weight:700}.on{background:#fd3!important;color:#000!important}
s{opacity:.7}small{opacity:.6}`;

// A field is selected by pointing at it or at one of its bytes, kept by a click, and named by the address's fragment.
const SCRIPT = `{
const all=[...document.querySelectorAll('[data-f]')],of=e=>(e.dataset.f||'').split(' ');let kept=[];
const show=ids=>all.forEach(e=>e.classList.toggle('on',of(e).some(i=>i!=='-'&&ids.includes(i))));
const at=e=>e.target.closest('[data-f]');
document.onmouseover=e=>{const t=at(e);show(t?of(t):kept)};
document.onclick=e=>{const t=at(e);kept=t?of(t):[];show(kept);if(t){const o=all.find(x=>x!==t&&x.localName!==t.localName&&of(x).some(i=>kept.includes(i)));o&&o.scrollIntoView({block:'nearest'})}};
const wanted=decodeURIComponent(location.hash.slice(1)),f=wanted&&all.find(e=>e.dataset.path===wanted);
if(f){kept=of(f);show(kept);f.scrollIntoView({block:'center'})}
}`;

/** The bytes of a value in rows; each knows the fields that lie in it. */
function hexTable({ bytes, leaves }: Inspected, numbers: ReadonlyMap<string, number>): string {
  const owners: number[][] = Array.from(bytes, () => []);
  for (const { path, bit, bits } of leaves) {
    const number = numbers.get(path) ?? 0;
    for (let at = Math.floor(bit / 8); at < Math.ceil((bit + bits) / 8) && at < bytes.length; at += 1) {
      owners[at]?.push(number);
    }
  }
  const rows: string[] = [];
  for (let start = 0; start < bytes.length; start += COLUMNS) {
    const cells = Array.from(bytes.subarray(start, start + COLUMNS), (byte, column) => {
      const own = owners[start + column] ?? [];
      const odd = (own[0] ?? 0) % 2 === 1 ? ' class="odd"' : '';
      return `<td data-f="${own.length === 0 ? '-' : own.join(' ')}"${odd}>${byte.toString(16).padStart(2, '0')}</td>`;
    });
    rows.push(`<tr><th>${start.toString(16).padStart(6, '0')}</th>${cells.join('')}</tr>`);
  }
  return `<table>${rows.join('\n')}</table>`;
}

interface Branch {
  readonly branches: Map<string, Branch>;
  path?: string;
}

/** Paths as a tree: names with dots between them, and places in arrays. */
function treeOf(paths: Iterable<string>): Branch {
  const root: Branch = { branches: new Map() };
  for (const path of paths) {
    let branch = root;
    for (const step of path.split(/\.|(?=\[)/)) {
      const next: Branch = branch.branches.get(step) ?? { branches: new Map() };
      branch.branches.set(step, next);
      branch = next;
    }
    branch.path = path;
  }
  return root;
}

interface Line {
  readonly number: number;
  readonly first: DumpedField | undefined;
  readonly second: DumpedField | undefined;
  readonly changed: boolean;
}

const textOf = (leaf: DumpedField | undefined): string =>
  leaf === undefined ? '' : escapeHtml(valueText(leaf.type, leaf.value));

function leafHtml(step: string, path: string, { number, first, second, changed }: Line): string {
  const leaf = first ?? second;
  const place = leaf === undefined ? '' : `0x${Math.floor(leaf.bit / 8).toString(16)}, ${leaf.bits} bits`;
  const values = changed ? `<s>${textOf(first)}</s> ${textOf(second)}` : textOf(first);
  const attributes = `data-f="${number}" data-path="${escapeHtml(path)}"${changed ? ' class="changed"' : ''}`;
  return `<li ${attributes}>${escapeHtml(step)} <b>${values}</b> <small>${place}</small></li>`;
}

function branchHtml(branch: Branch, lines: ReadonlyMap<string, Line>): string {
  const items = [...branch.branches].map(([step, inner]) => {
    const line = inner.path === undefined ? undefined : lines.get(inner.path);
    if (line !== undefined && inner.path !== undefined) return leafHtml(step, inner.path, line);
    return `<li><details open><summary>${escapeHtml(step)}</summary>${branchHtml(inner, lines)}</details></li>`;
  });
  return `<ul>${items.join('\n')}</ul>`;
}

/**
 * One page that needs nothing else: bytes beside the tree of fields, each selecting the other. With a second value, also its
 * bytes, and the fields that differ.
 */
export function inspectPage(title: string, value: Inspected, other: Inspected | undefined): string {
  const second = new Map((other?.leaves ?? []).map((leaf) => [leaf.path, leaf]));
  const first = new Map(value.leaves.map((leaf) => [leaf.path, leaf]));
  const paths = [...new Set([...first.keys(), ...second.keys()])];
  const numbers = new Map(paths.map((path, index) => [path, index]));
  const lines = new Map(
    paths.map((path, number): [string, Line] => {
      const [one, two] = [first.get(path), second.get(path)];
      const changed = other !== undefined && textAndBytes(one, value) !== textAndBytes(two, other);
      return [path, { number, first: one, second: two, changed }];
    }),
  );
  const count = [...lines.values()].filter(({ changed }) => changed).length;
  const shown = escapeHtml(title);
  const differ = other === undefined ? '' : `: ${count} of ${lines.size} fields differ`;
  const bytes = [value, ...(other === undefined ? [] : [other])].map(
    (item) => `<h2>${escapeHtml(item.name)}</h2>${hexTable(item, numbers)}`,
  );
  const policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'";
  return `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="${policy}">
<title>${shown}</title><style>${STYLE}</style></head><body>
<h1>${shown}${differ}</h1>
<div>${bytes.join('\n')}</div>
<div>${branchHtml(treeOf(paths), lines)}</div>
<script>${SCRIPT}</script></body></html>
`;
}

/** A field's value and bytes: long runs of bytes have the same words and may differ. */
function textAndBytes(leaf: DumpedField | undefined, { bytes }: Inspected): string {
  if (leaf === undefined) return '';
  const [from, to] = [Math.floor(leaf.bit / 8), Math.ceil((leaf.bit + leaf.bits) / 8)];
  const raw = leaf.value instanceof Uint8Array ? Buffer.from(bytes.subarray(from, to)).toString('hex') : '';
  return `${valueText(leaf.type, leaf.value)} ${raw}`;
}
