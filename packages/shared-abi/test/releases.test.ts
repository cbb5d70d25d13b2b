import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { canonicalText, type Interface } from '@instar/layout/emit';
import { diffInterfaces, parseInterface, type ChangeLevel } from '@instar/layout/versions';
import { ABI_VERSION_MAJOR, ABI_VERSION_MINOR, describeAbi } from '../src/index.js';

/** The next minor version. */
const NEXT = `${ABI_VERSION_MAJOR}.${ABI_VERSION_MINOR + 1}`;
const DIRECTORY = new URL('../releases/', import.meta.url);

function numbers(version: string | undefined): readonly [major: number, minor: number] {
  const [major = Number.NaN, minor = Number.NaN] = (version ?? '').split('.').map(Number);
  return [major, minor];
}

const releases = readdirSync(DIRECTORY)
  .map((name) => parseInterface(JSON.parse(readFileSync(new URL(name, DIRECTORY), 'utf8'))))
  .sort((a, b) => {
    const [[majorA, minorA], [majorB, minorB]] = [numbers(a.version), numbers(b.version)];
    return majorA - majorB || minorA - minorB;
  });

/** What a step from one version to another may do at most. */
function allowed(before: Interface, after: Interface): ChangeLevel {
  const [[majorBefore, minorBefore], [majorAfter, minorAfter]] = [numbers(before.version), numbers(after.version)];
  if (majorAfter === majorBefore + 1 && minorAfter === 0) return 'major';
  if (majorAfter === majorBefore && minorAfter === minorBefore + 1) return 'minor';
  if (majorAfter === majorBefore && minorAfter === minorBefore) return 'none';
  throw new Error(`${String(after.version)} does not follow ${String(before.version)}`);
}

/** Throws unless a release only does what its number says. */
function checkStep(before: Interface, after: Interface): void {
  const { level, changes } = diffInterfaces(before, after);
  const most = allowed(before, after);
  const order: readonly ChangeLevel[] = ['none', 'minor', 'major'];
  if (order.indexOf(level) <= order.indexOf(most)) return;
  const worst = changes.filter((item) => item.level === level).map((item) => `${item.kind} ${item.path}: ${item.text}`);
  throw new Error(
    `${String(after.version)} may be ${most} at most after ${String(before.version)}, found ${worst.join('; ')}`,
  );
}

describe('released versions of the ABI', () => {
  it('are there, and read back as they were written', () => {
    expect(releases.length).toBeGreaterThan(0);
    for (const release of releases) {
      const file = readFileSync(new URL(`${String(release.version)}.json`, DIRECTORY), 'utf8');
      expect(JSON.parse(canonicalText(release))).toEqual((JSON.parse(file) as { abi: unknown }).abi);
    }
  });

  it('do what their numbers say, up to the one that is being written', () => {
    const history = [...releases, describeAbi()];
    history.slice(1).forEach((after, index) => {
      const before = history[index];
      if (before !== undefined) checkStep(before, after);
    });
  });

  it('a minor one that moves a field would be refused', () => {
    const abi = describeAbi();
    const text = canonicalText(abi);
    const broken = JSON.parse(text) as {
      version: string;
      structs: { name: string; size?: number; fields: { name: string; offset?: number }[] }[];
    };
    broken.version = NEXT;
    const config = broken.structs.find((item) => item.name === 'ConvertConfig');
    const fields = config?.fields ?? [];
    const [magic, flags] = fields;
    if (config === undefined || magic === undefined || flags === undefined) throw new Error('no ConvertConfig');
    config.fields = [flags, magic, ...fields.slice(2)].map(({ offset: _, ...item }) => item);
    expect(() => {
      checkStep(abi, parseInterface(broken));
    }).toThrow(
      `${NEXT} may be minor at most after ${String(abi.version)}, found moved ConvertConfig.flags: from byte 4 to byte 0`,
    );
  });

  it('a minor one that appends would not', () => {
    const abi = describeAbi();
    const grown = JSON.parse(canonicalText(abi)) as {
      version: string;
      structs: { name: string; size?: number; fields: object[] }[];
    };
    grown.version = NEXT;
    const config = grown.structs.find((item) => item.name === 'ConvertConfig');
    config?.fields.push({ name: 'window_flags', type: 'u64' });
    delete config?.size;
    expect(() => {
      checkStep(abi, parseInterface(grown));
    }).not.toThrow();
  });
});
