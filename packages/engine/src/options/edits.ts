import * as v from 'valibot';
import type { EditOptions } from '../operations/edit.js';
import type { NewSize, ResizeOptions } from '../operations/resize.js';
import { checked } from './check.js';
import { callback, options, size, yesNo, type Fields } from './kinds.js';

const formatName = v.string('the name of a format, such as raw or qcow2');

const editing = { format: v.optional(formatName), undo: v.optional(yesNo) };

const edit = options(editing satisfies Fields<EditOptions>);

const resize = options({
  ...editing,
  size: v.union([size(), callback], 'a number of bytes, or a function of what it is now'),
  shrink: v.optional(yesNo),
} satisfies Fields<ResizeOptions & { readonly size: NewSize }>);

/** @throws EngineError `INVALID_OPTION` */
export function checkEditOptions(value: EditOptions): v.InferOutput<typeof edit> {
  return checked(edit, 'options', value);
}

/** @throws EngineError `INVALID_OPTION` */
export function checkResizeOptions(
  value: ResizeOptions & { readonly size: NewSize },
): ResizeOptions & { readonly size: Exclude<NewSize, number> } {
  return checked(resize, 'options', value) as ResizeOptions & { readonly size: Exclude<NewSize, number> };
}
