import { existsSync } from 'node:fs';
import { escapeText } from '@instar/engine';
import type { Target } from '@instar/layout';
import type { Interface } from '@instar/layout/emit';
import { declareCompatible, diffInterfaces, type ChangeLevel } from '@instar/layout/versions';
import { describeAbi } from '@instar/shared-abi';
import { releasedInterfaces } from '@instar/shared-abi/releases';
import { readInterface, usageError } from './source.js';
import { recordText } from '../../render/record.js';

const LEVELS: readonly ChangeLevel[] = ['none', 'minor', 'major'];

/** One side of a comparison: a released version, `current`, or a file of canonical JSON. */
async function side(name: string): Promise<Interface> {
  if (name === 'current') return describeAbi();
  const releases = releasedInterfaces();
  const found = releases.find((release) => release.version === name);
  if (found !== undefined) return found;
  if (existsSync(name)) return readInterface(name);
  const versions = releases.map((release) => release.version).join(', ');
  throw usageError(
    `found no version and no file ${escapeText(name)}, expected ${versions}, current, or a file of canonical JSON`,
  );
}

/** What became of the first interface in the second; whether that is more than `atMost` allows. */
export async function diff(
  older: string,
  newer: string,
  { atMost, compatible }: { readonly atMost?: string | undefined; readonly compatible: readonly string[] },
  json: boolean,
  target: Target,
): Promise<{ readonly text: string; readonly exceeded: boolean }> {
  if (atMost !== undefined && !LEVELS.includes(atMost as ChangeLevel)) {
    throw usageError(`found --at-most ${escapeText(atMost)}, expected none, minor or major`);
  }
  const { level, changes } = declareCompatible(
    diffInterfaces(await side(older), await side(newer), target),
    compatible,
  );
  const exceeded = atMost !== undefined && LEVELS.indexOf(level) > LEVELS.indexOf(atMost as ChangeLevel);
  if (json) return { text: recordText({ level, changes }), exceeded };
  const width = Math.max(0, ...changes.map((item) => item.path.length));
  const lines = changes.map(
    (item) => `${item.level}  ${item.kind.padEnd(8)}  ${item.path.padEnd(width)}  ${item.text}`,
  );
  return { text: `${[...lines, level === 'none' ? 'no difference' : `${level} change`].join('\n')}\n`, exceeded };
}
