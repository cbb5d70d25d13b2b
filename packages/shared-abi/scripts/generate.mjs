// Writes the committed artefacts of the ABI: the Rust crate, the JSON, the documentation table, the history and the
// fingerprint. With --release it also keeps the ABI as a released version, which may not exist yet.
import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  canonicalText,
  changelogText,
  describeAbi,
  jsonEmitter,
  markdownEmitter,
  parseInterface,
  rustEmitter,
  x86_64,
} from '../dist/index.js';
import * as disk from '../dist/disk.js';
import { diskRust } from './disk-rust.mjs';
import { formatsRust } from './formats-rust.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const abi = describeAbi();
const fingerprint = createHash('sha256').update(canonicalText(abi)).digest();

/**
 * A file that is as it is to be stays untouched: Cargo would compile again what is made of it.
 * @param {string} path @param {string} text
 */
function write(path, text) {
  const target = join(root, path);
  if (existsSync(target) && readFileSync(target, 'utf8') === text) return;
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, text);
}

/** @param {string} path @param {string} edition @param {string} text */
function writeRust(path, edition, text) {
  const stdio = ['pipe', 'pipe', 'inherit'];
  write(path, execFileSync('rustfmt', ['--edition', edition], { input: text, encoding: 'utf8', stdio }));
}

write('generated/abi.json', jsonEmitter.emit(abi, { target: x86_64, fingerprint }));
write('../../docs/abi.md', markdownEmitter.emit(abi, { target: x86_64, fingerprint }));
write(
  'src/generated/fingerprint.ts',
  `// @generated: \`npm run generate\`\nexport const FINGERPRINT_HEX = '${fingerprint.toString('hex')}';\n`,
);

if (process.argv.includes('--release')) {
  const release = join(root, 'releases', `${abi.version}.json`);
  writeFileSync(release, jsonEmitter.emit(abi, { target: x86_64, fingerprint }), { flag: 'wx' });
}

/** The fingerprints of older minor versions, whose guests this version still runs. */
function compatibleFingerprints() {
  const [major] = abi.version.split('.');
  const older = releases.filter((item) => item.version.split('.')[0] === major && item.version !== abi.version);
  const digests = older.map((item) => createHash('sha256').update(canonicalText(item)).digest());
  const rows = digests.map((digest) => `[${[...digest].join(', ')}]`);
  return [
    '/// Fingerprints of the older minor versions of this major one.',
    `pub const OLDER_FINGERPRINTS: [[u8; 32]; ${rows.length}] = [${rows.join(', ')}];`,
    '',
  ].join('\n');
}

const snapshots = readdirSync(join(root, 'releases')).map((name) => readFileSync(join(root, 'releases', name), 'utf8'));
const releases = snapshots
  .map((text) => parseInterface(JSON.parse(text)))
  .sort((a, b) => a.version.localeCompare(b.version, 'en', { numeric: true }));
writeRust(
  'generated/rust/src/lib.rs',
  '2021',
  `${rustEmitter.emit(abi, { target: x86_64, fingerprint })}\n${compatibleFingerprints()}\n${formatsRust()}`,
);
writeRust('../convert-guest/crates/image-formats/src/structures.rs', '2024', diskRust(disk));
write('../../docs/abi-changes.md', changelogText(releases));
write(
  'src/generated/releases.ts',
  [
    '// @generated: `npm run generate`',
    '/** Canonical JSON of every released version of the ABI. */',
    'export const RELEASES: readonly string[] = [',
    ...snapshots.map((text) => `  ${JSON.stringify(JSON.stringify(JSON.parse(text)))},`),
    '];',
    '',
  ].join('\n'),
);
