import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Options } from 'tsup';

type Plugin = NonNullable<Options['esbuildPlugins']>[number];

const NOTICES = join('dist', 'THIRD_PARTY_NOTICES.txt');

async function notice(directory: string): Promise<string> {
  const { name, version, license } = JSON.parse(await readFile(join(directory, 'package.json'), 'utf8')) as Record<
    'name' | 'version' | 'license',
    string
  >;
  const file = (await readdir(directory)).find((entry) => /^licen[cs]e/i.test(entry));
  if (file === undefined) throw new Error(`${name}: no licence beside it, so it cannot be compiled in`);
  const text = await readFile(join(directory, file), 'utf8');
  return `${name} ${version} (${license})\n\n${text.trim()}\n`;
}

const RULE = `\n${'-'.repeat(80)}\n\n`;
const TITLE = 'Compiled into this program:\n\n';

/** Notices of a package of this workspace whose built files are compiled in, with what was compiled into them. */
async function noticesOf(directory: string): Promise<readonly string[]> {
  try {
    const text = await readFile(join(directory, 'THIRD_PARTY_NOTICES.txt'), 'utf8');
    return text.slice(TITLE.length).split(RULE);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}

/** Writes the licences of all foreign packages that were compiled in. */
export const thirdPartyNotices: Plugin = {
  name: 'third-party-notices',
  setup(build) {
    build.initialOptions.metafile = true;
    build.onEnd(async ({ metafile }) => {
      const inputs = Object.keys(metafile?.inputs ?? {});
      const directories = new Set(
        inputs.flatMap((input) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(input)?.[0] ?? []),
      );
      const built = new Set(inputs.flatMap((input) => /^\.\.\/[^/]+\/dist(?=\/)/.exec(input)?.[0] ?? []));
      const own = await Promise.all([...directories].map(notice));
      const others = await Promise.all([...built].map(noticesOf));
      const notices = [...new Set([...own, ...others.flat()])].sort();
      if (notices.length === 0) return;
      await mkdir('dist', { recursive: true });
      await writeFile(NOTICES, `${TITLE}${notices.join(RULE)}`);
    });
  },
};
