import { fileURLToPath } from 'node:url';
import { requireCompiled } from '../process/compiled.js';
import type { Command } from './description.js';
import type { CommandName } from './names.js';

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
