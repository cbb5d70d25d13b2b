import { fileURLToPath } from 'node:url';
import { requireCompiled } from '../process/compiled.js';
import type { Command } from './description.js';
import { RUN_GUESTS, type CommandName } from './names.js';
import type * as PrepareSandbox from './prepare-sandbox.js';

/**
 * Loads a command when it is called, from a file of its own: starting is part of what users wait for.
 * @param directory where the files of the commands are, as a URL that ends in `/`
 */
export function loadCommand(name: CommandName, directory: URL): Command {
  const path = fileURLToPath(new URL(`${name}.cjs`, directory));
  const command = (requireCompiled(path) as Readonly<Record<string, Command>>)[`${name}Command`];
  if (command === undefined) throw new Error(`${name}.cjs has no command`);
  return command;
}

/**
 * Has a sandbox made for a command that is about to be loaded, where it runs guests.
 * @param tokens the words of its command line
 */
export function prepareFor(name: CommandName, tokens: readonly string[], directory: URL): void {
  if (!(RUN_GUESTS as readonly string[]).includes(name)) return;
  const path = fileURLToPath(new URL('prepare-sandbox.cjs', directory));
  (requireCompiled(path) as typeof PrepareSandbox).prepareSandboxFor(tokens);
}
