import { layoutError } from './errors.js';

/** Whether a name is an identifier, and no property that every object has. */
export function isIdentifier(name: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && !(name in {});
}

/**
 * Refuses a name that no language could write. Words that one language reserves are its emitter's matter.
 * @throws LayoutError `LAYOUT_NAME`.
 */
export function checkName(name: string, path: string): void {
  if (isIdentifier(name)) return;
  throw layoutError(
    'LAYOUT_NAME',
    `found ${JSON.stringify(name)}, expected an identifier`,
    path,
    0,
    name,
    'an identifier',
  );
}
