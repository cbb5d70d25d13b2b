// Draws docs/packages.svg: the packages, and an arrow for every import between two of them. npm run generate:picture
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const PACKAGES = new URL('../packages/', import.meta.url);
const PICTURE = fileURLToPath(new URL('../docs/packages.svg', import.meta.url));

/** What each package is, in a few words, and whether images are parsed in it. */
const ABOUT = {
  layout: 'the layout language',
  'shared-abi': 'the ABI',
  operands: 'operands and sizes of dd',
  'convert-guest': 'parses images',
  'vmm-native': 'KVM, processes, commands',
  'host-files': 'outputs, locks, references',
  vmcore: 'guest memory dumps',
  engine: 'the API',
  jobs: 'queues',
  cli: 'the command instar',
  'qemu-img': 'the command qemu-img',
};
const GUEST = 'convert-guest';

/** Files of sources of a package, without tests. */
function sourcesOf(name) {
  const found = [];
  for (const folder of ['src', 'bin']) {
    const root = new URL(`${name}/${folder}/`, PACKAGES);
    let entries = [];
    try {
      entries = readdirSync(root, { recursive: true });
    } catch {
      // Not every package has both.
    }
    found.push(...entries.filter((file) => /(?<!\.test|\.d)\.[jt]s$/.test(file)).map((file) => new URL(file, root)));
  }
  return found;
}

/** Whether a crate of a package takes the ABI as generated Rust. */
function takesRust(name) {
  const crates = new URL(`${name}/crates/`, PACKAGES);
  try {
    const manifests = readdirSync(crates).map((crate) => readFileSync(new URL(`${crate}/Cargo.toml`, crates), 'utf8'));
    return manifests.some((text) => text.includes('shared-abi/generated/rust'));
  } catch {
    return false;
  }
}

/** Pairs of packages of which the first imports the second, by name; `rust` where that is generated Rust. */
export function importsOfPackages() {
  const names = readdirSync(PACKAGES).sort();
  return names.flatMap((from) => {
    const text = sourcesOf(from)
      .map((file) => readFileSync(file, 'utf8'))
      .join('\n');
    const imported = [...text.matchAll(/(?:from |import\(|require\()'@instar\/([a-z-]+)/g)].map(([, to]) => to);
    const edges = [...new Set(imported)].filter((to) => to !== from && names.includes(to));
    const pairs = edges.sort().map((to) => ({ from, to, rust: false }));
    return takesRust(from) && !edges.includes('shared-abi')
      ? [...pairs, { from, to: 'shared-abi', rust: true }]
      : pairs;
  });
}

const WIDTH = 196;
const HEIGHT = 54;
const COLUMN = 170;
const ROW = 108;
/** In which column each package stands, so that few arrows run behind a box. */
const COLUMNS = {
  'qemu-img': 2,
  cli: 2,
  jobs: 0.2,
  engine: 1.6,
  vmcore: 3.2,
  'host-files': 4.4,
  'convert-guest': 0,
  'vmm-native': 3.4,
  layout: 2.4,
  'shared-abi': 1.2,
  operands: 0.2,
};

/** Where each package stands: above all that it imports. */
function placesOf(names, edges) {
  const rank = new Map();
  const rankOf = (name) => {
    if (!rank.has(name)) {
      const below = edges.filter(({ from }) => from === name).map(({ to }) => rankOf(to) + 1);
      rank.set(name, Math.max(0, ...below));
    }
    return rank.get(name);
  };
  const top = Math.max(...names.map(rankOf));
  return new Map(names.map((name) => [name, { x: 30 + COLUMNS[name] * COLUMN, y: 60 + (top - rankOf(name)) * ROW }]));
}

/** Where the arrows of a package begin or end along its edge: side by side, in the order of their other ends. */
function anchor(name, edge, edges, places, end) {
  const [own, other] = end === 'from' ? ['from', 'to'] : ['to', 'from'];
  const all = edges
    .filter((each) => each[own] === name)
    .sort((a, b) => places.get(a[other]).x - places.get(b[other]).x);
  return places.get(name).x + (WIDTH * (all.indexOf(edge) + 1)) / (all.length + 1);
}

/** The text of the picture. */
export function packagesPicture() {
  const edges = importsOfPackages();
  const names = Object.keys(ABOUT);
  const places = placesOf(names, edges);
  const right = Math.max(...[...places.values()].map(({ x }) => x)) + WIDTH + 30;
  const bottom = Math.max(...[...places.values()].map(({ y }) => y)) + HEIGHT + 60;
  const arrows = edges.map((edge) => {
    const { from, to, rust } = edge;
    const [y1, y2] = [places.get(from).y + HEIGHT, places.get(to).y];
    const [x1, x2] = [anchor(from, edge, edges, places, 'from'), anchor(to, edge, edges, places, 'to')].map(Math.round);
    const middle = (y1 + y2) / 2;
    const kind = rust ? 'arrow rust' : 'arrow';
    return `<path class="${kind}" data-from="${from}" data-to="${to}" d="M${x1} ${y1}C${x1} ${middle} ${x2} ${middle} ${x2} ${y2 - 3}"/>`;
  });
  const boxes = names.map((name) => {
    const { x, y } = places.get(name);
    return (
      `<rect class="${name === GUEST ? 'box guest' : 'box'}" x="${x}" y="${y}" width="${WIDTH}" height="${HEIGHT}" rx="8"/>` +
      `<text class="name" x="${x + 14}" y="${y + 23}">@instar/${name}</text><text class="about" x="${x + 14}" y="${y + 42}">${ABOUT[name]}</text>`
    );
  });
  const legend = [
    `<path class="arrow" d="M30 ${bottom - 26}h44"/><text class="about" x="84" y="${bottom - 22}">imports</text>`,
    `<path class="arrow rust" d="M150 ${bottom - 26}h44"/><text class="about" x="204" y="${bottom - 22}">takes the ABI as generated Rust</text>`,
    `<rect class="box guest" x="410" y="${bottom - 34}" width="24" height="16" rx="3"/><text class="about" x="444" y="${bottom - 22}">the only one in which what an image holds is interpreted</text>`,
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${right} ${bottom}" font-family="sans-serif" font-size="14">
<title>Packages of instar and their imports</title>
<style>
.page{fill:#fff}.box{fill:#f6f8fa;stroke:#57606a}.guest{fill:#fff1e5;stroke:#bc4c00;stroke-width:2}
.name{font-weight:bold;fill:#1f2328}.about{fill:#57606a;font-size:12px}.head{fill:#57606a}
.arrow{stroke:#57606a;stroke-width:1.4;fill:none;marker-end:url(#head)}.rust{stroke-dasharray:5 4}
@media (prefers-color-scheme:dark){.page{fill:#0d1117}.box{fill:#161b22;stroke:#8b949e}.guest{fill:#3d2310;stroke:#f0883e}
.name{fill:#e6edf3}.about{fill:#9da7b3}.arrow{stroke:#9da7b3}.head{fill:#9da7b3}}
</style>
<defs><marker id="head" markerWidth="8" markerHeight="8" refX="7" refY="4" orient="auto"><path class="head" d="M0 0L8 4L0 8z"/></marker></defs>
<rect class="page" width="${right}" height="${bottom}"/>
<text class="name" x="30" y="34">Packages and their imports</text>
${[...arrows, ...boxes, ...legend].join('\n')}
</svg>
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(PICTURE, packagesPicture());
