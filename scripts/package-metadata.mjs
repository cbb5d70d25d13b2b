// Writes into each package.json what every package of this workspace has in common, so that it is said in one place.
// `node scripts/package-metadata.mjs --check` only tells what differs.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const REPOSITORY = 'https://github.com/instar-images/instar';
const COMMON_KEYWORDS = ['disk-image', 'qemu-img', 'sandbox', 'kvm'];
/** More words by which a package is looked for. */
const KEYWORDS = {
  '@instar/cli': ['dd', 'qcow2', 'vmdk', 'vhdx', 'vdi', 'convert', 'cli'],
  '@instar/engine': ['qcow2', 'vmdk', 'vhdx', 'vdi', 'upload', 'convert'],
  '@instar/qemu-img': ['qcow2', 'vmdk', 'convert', 'cli'],
  '@instar/jobs': ['queue', 'jobs', 'bullmq', 'pg-boss', 'convert'],
  '@instar/layout': ['binary', 'struct', 'layout', 'codec', 'kaitai', 'btf', 'dwarf'],
  '@instar/operands': ['dd', 'operands', 'size-suffix'],
  '@instar/shared-abi': ['abi', 'binary', 'layout'],
  '@instar/vmcore': ['vmcore', 'kdump', 'makedumpfile', 'crash', 'memory-dump'],
};

const root = fileURLToPath(new URL('..', import.meta.url));
const check = process.argv.includes('--check');

/** Fields behind `license`, in the order in which npm's documentation has them. */
function metadata(name, directory) {
  return {
    homepage: `${REPOSITORY}/tree/main/${directory}#readme`,
    bugs: { url: `${REPOSITORY}/issues` },
    repository: { type: 'git', url: `git+${REPOSITORY}.git`, directory },
    keywords: [...COMMON_KEYWORDS, ...(KEYWORDS[name] ?? [])],
    publishConfig: { access: 'public', provenance: true },
  };
}

const manifests = ['packages', 'packages/vmm-native/npm']
  .flatMap((folder) => readdirSync(`${root}${folder}`).map((name) => `${folder}/${name}/package.json`))
  .filter((path) => existsSync(`${root}${path}`));

for (const path of manifests) {
  const file = `${root}${path}`;
  const before = readFileSync(file, 'utf8');
  const manifest = JSON.parse(before);
  const common = metadata(manifest.name, relative(root, dirname(file)));
  const others = Object.entries(manifest).filter(([key]) => !(key in common));
  const at = others.findIndex(([key]) => key === 'license') + 1;
  const after = Object.fromEntries([...others.slice(0, at), ...Object.entries(common), ...others.slice(at)]);
  if (JSON.stringify(after) === JSON.stringify(manifest)) continue;
  if (check) {
    console.error(`${path}: differs; run node scripts/package-metadata.mjs`);
    process.exitCode = 1;
  } else {
    writeFileSync(file, `${JSON.stringify(after, null, 2)}\n`);
  }
}
