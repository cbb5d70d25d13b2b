/** Colours that are told apart by who does not see all of them; light and dark. */
const COLOURS = `svg{--data:#2563c9;--compressed:#b4580a;--zero:#8d96a3;--none:#e4e8ee;--edge:#c3cad4;--ink:#1b2330;--table:#1d8a56;--head:#7a3fb0;--leak:#c22b22}
@media(prefers-color-scheme:dark){svg{--data:#6ea8ff;--compressed:#f0a35e;--zero:#6b7480;--none:#2a313b;--edge:#48525f;--ink:#e6eaf0;--table:#5cc48a;--head:#c39bf0;--leak:#ff8a80}}
.data{fill:var(--data)}.compressed{fill:var(--compressed)}.zero{fill:var(--zero)}.tables{fill:var(--table)}.header{fill:var(--head)}.leaked{fill:var(--leak)}.unallocated,.rest,.free{fill:var(--none)}
.behind{fill:none;stroke:var(--edge);stroke-dasharray:2 2}.below{fill-opacity:.55}.frame{fill:none;stroke:var(--edge)}
text{fill:var(--ink);font:13px system-ui,sans-serif}
`;

/** The style of a picture that stands alone. */
export const SVG_STYLE = COLOURS;

/** The style of the page. */
export const PAGE_STYLE = `${COLOURS}:root{color-scheme:light dark}
body{margin:2rem auto;max-width:56rem;padding:0 1rem;font:15px/1.5 system-ui,sans-serif;color:#1b2330;background:#fff}
h1{font-size:1.35rem;overflow-wrap:anywhere;margin-bottom:.3rem}h2{font-size:1.05rem;margin:1.8rem 0 .5rem}
svg{display:block;max-width:100%;height:auto}svg.key{display:inline-block;vertical-align:-2px;margin:0 .35rem 0 .9rem}
.chips{display:flex;flex-wrap:wrap;gap:.4rem;padding:0;margin:.6rem 0;list-style:none}
.chips li{border:1px solid #c3cad4;border-radius:1rem;padding:.1rem .7rem;font-size:.85rem}
.chips .pass{border-color:#2e7d4f;color:#1f6b3f}.chips .fail{border-color:#b3261e;background:#b3261e;color:#fff}
.chips .unknown{border-style:dashed}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.9rem}
th,td{text-align:left;padding:.15rem .9rem .15rem 0;border-bottom:1px solid #e4e8ee;overflow-wrap:anywhere}
td.number{text-align:right}p.note{font-size:.88rem;opacity:.8}
@media(prefers-color-scheme:dark){body{color:#e6eaf0;background:#14181e}th,td{border-color:#2a313b}.chips li{border-color:#48525f}.chips .pass{border-color:#5cc48a;color:#7bd9a4}}
`;
