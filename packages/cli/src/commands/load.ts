import { requireCompiled } from '../process/compiled.js';
import type { Command } from './description.js';
import type { CommandName } from './names.js';

/**
 * Loads a command when it is called, from a file of its own: starting is part of what users wait for.
 * @param modules where the modules of the program are
 */
export function loadCommand(name: CommandName, modules: string): Command {
  const path = `${modules}/commands/${name}.cjs`;
  const command = (requireCompiled(path, modules) as Readonly<Record<string, Command>>)[`${name}Command`];
  if (command === undefined) throw new Error(`${name}.cjs has no command`);
  return command;
}
