import { requireCompiled } from './process/compiled.js';
import type * as Program from './main.js';

export { compiledPath, wrapped } from './process/compiled.js';

/** Runs one command line, as {@link Program.main} does, with what V8 compiled of the program when it was built. */
export const main: typeof Program.main = async (...given) => {
  const modules = import.meta.dirname;
  await (requireCompiled(`${modules}/main.cjs`, modules) as typeof Program).main(...given);
};
