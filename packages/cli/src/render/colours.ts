import type * as Picocolors from 'picocolors';

/** Colours for what goes to standard output: on a terminal only, whatever else is said of the environment. */
export async function coloursOf(stream: NodeJS.WriteStream): Promise<ReturnType<typeof Picocolors.createColors>> {
  const { default: picocolors } = await import('picocolors');
  const { NO_COLOR: refused = '', TERM: terminal } = process.env;
  // A pipe has no such property, and `createColors` would guess for itself where it is given none.
  const { isTTY = false } = stream as { readonly isTTY?: boolean };
  return picocolors.createColors(isTTY && refused === '' && terminal !== 'dumb');
}
