// Fails when a committed generated file differs from what its generator writes now.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
/** Where `npm run generate`, and the build of the addon, write. */
const GENERATED = [
  'packages/shared-abi/generated',
  'packages/shared-abi/src/generated',
  'packages/convert-guest/crates/image-formats/src/structures.rs',
  'packages/vmm-native/src/generated',
  'docs/abi.md',
  'docs/abi-changes.md',
];

function run(program, args, options = {}) {
  return spawnSync(program, args, { cwd: root, encoding: 'utf8', ...options });
}

if (!existsSync(new URL('../packages/shared-abi/package.json', import.meta.url))) {
  console.log('check:generated: no package generates files yet.');
} else {
  // As `npm run generate` does, with the builds that there are.
  for (const words of [
    ['scripts/turbo.mjs', 'run', 'build', '--filter=@instar/shared-abi', '--output-logs=new-only'],
    ['packages/shared-abi/scripts/generate.mjs'],
  ]) {
    const { status } = run(process.execPath, words, { stdio: 'inherit' });
    if (status !== 0) process.exit(status ?? 1);
  }

  // `status` sees changed and new files alike; `diff` alone would miss a file that was never added.
  const status = run('git', ['status', '--porcelain', '--', ...GENERATED]);
  if (status.status !== 0) {
    console.error(`check:generated: git status failed: ${status.stderr.trim()}`);
    process.exitCode = 1;
  } else if (status.stdout.trim() !== '') {
    console.error(status.stdout.trimEnd());
    run('git', ['diff', '--stat', '--', ...GENERATED], { stdio: 'inherit' });
    console.error('check:generated: committed generated files are stale.');
    console.error(`Mend with: npm run generate && git add ${GENERATED.join(' ')}`);
    process.exitCode = 1;
  } else {
    console.log('check:generated: current.');
  }
}
