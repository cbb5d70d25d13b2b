import type * as Picocolors from 'picocolors';
import type { OutputStream } from '../process/standard-streams.js';

/** Marks a text. */
export type Colour = (text: string) => string;

/** What output is marked with. */
export type Colours = Readonly<Record<'red' | 'green' | 'yellow' | 'cyan' | 'magenta' | 'dim', Colour>>;

const none: Colour = (text) => text;
const NONE: Colours = { red: none, green: none, yellow: none, cyan: none, magenta: none, dim: none };

/** Colours for what goes to standard output: on a terminal only, whatever else is said of the environment. */
export async function coloursOf(stream: OutputStream): Promise<Colours> {
  const { NO_COLOR: refused = '', TERM: terminal } = process.env;
  if (!stream.isTTY || refused !== '' || terminal === 'dumb') return NONE;
  const { default: picocolors }: typeof Picocolors = await import('picocolors');
  return picocolors.createColors(true);
}
