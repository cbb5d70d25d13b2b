import type { Interface } from '@instar/layout/emit';
import { diffInterfaces } from '@instar/layout/versions';

/**
 * The history of an interface as Markdown, the newest version first.
 * @param releases Every released version, oldest first.
 */
export function changelogText(releases: readonly Interface[]): string {
  const parts = releases.map((release, index) => {
    const before = releases[index - 1];
    const title = `## ${release.version ?? release.title}`;
    if (before === undefined) {
      return [title, '', `First version: ${release.types.length} types, ${release.sets.length} sets of constants.`, ''];
    }
    const { level, changes } = diffInterfaces(before, release);
    return [
      `${title} (${level})`,
      '',
      ...changes.map((item) => `- **${item.kind}** \`${item.path}\`: ${item.text}`),
      ...(changes.length === 0 ? ['Nothing changed.'] : []),
      '',
    ];
  });
  const note = '<!-- generated from packages/shared-abi/releases: `npm run generate` -->';
  return `${['# Changes of the ABI', '', note, '', ...parts.reverse().flat()].join('\n').trimEnd()}\n`;
}
