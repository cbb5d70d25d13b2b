// The picture of the packages: an arrow for every import, and none besides.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { importsOfPackages, packagesPicture } from '../../scripts/packages-picture.mjs';
import { ROOT } from '../support/command.js';

const PICTURE = readFileSync(join(ROOT, 'docs/packages.svg'), 'utf8');

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

function manifestOf(name: string): Manifest {
  return JSON.parse(readFileSync(join(ROOT, 'packages', name, 'package.json'), 'utf8')) as Manifest;
}

it('is what the sources say now (npm run generate:picture)', () => {
  expect(PICTURE).toBe(packagesPicture());
});

it('has an arrow for each import, and manifests agree', () => {
  const arrows = [...PICTURE.matchAll(/data-from="([a-z-]+)" data-to="([a-z-]+)"/g)].map(([, from, to]) => [from, to]);
  expect(arrows).toEqual(importsOfPackages().map(({ from, to }) => [from, to]));
  expect(arrows.length).toBeGreaterThan(20);
  for (const { from, to, rust } of importsOfPackages()) {
    if (rust) continue;
    const { dependencies, devDependencies, peerDependencies } = manifestOf(from);
    expect({ ...dependencies, ...devDependencies, ...peerDependencies }, `${from} imports ${to}`).toHaveProperty([
      `@instar/${to}`,
    ]);
  }
});

it('no arrow leads back', () => {
  const edges = importsOfPackages();
  const reached = (from: string, seen: readonly string[] = []): readonly string[] =>
    edges
      .filter((edge) => edge.from === from && !seen.includes(edge.to))
      .flatMap(({ to }) => [to, ...reached(to, [...seen, to])]);
  for (const { from } of edges) expect(reached(from)).not.toContain(from);
});
