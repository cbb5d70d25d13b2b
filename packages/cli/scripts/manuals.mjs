// Writes the man pages from the descriptions of the commands, as they were just built.
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { describeCommands } from '../dist/commands/completion.cjs';
import { mainManual, manualOf } from '../dist/manual.cjs';

const directory = new URL('../dist/man/', import.meta.url);
const { version } = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8'));
const commands = await describeCommands();
await mkdir(directory, { recursive: true });
await writeFile(new URL('instar.1', directory), mainManual(commands, version));
for (const command of commands) {
  await writeFile(new URL(`instar-${command.name}.1`, directory), manualOf(command, version));
}
// Only what is above needs it.
await rm(new URL('../dist/manual.cjs', import.meta.url));
