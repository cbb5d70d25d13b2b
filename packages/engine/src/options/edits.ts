import * as v from 'valibot';
import type { Amendment, AmendOptions } from '../operations/amend.js';
import type { BitmapAction, BitmapOptions } from '../operations/bitmaps.js';
import type { CommitOptions } from '../operations/commit.js';
import type { EditOptions } from '../operations/edit.js';
import type { KeySlotChange } from '../operations/key-slots.js';
import type { RebaseOptions } from '../operations/rebase.js';
import type { RepairOptions } from '../operations/repair.js';
import type { NewSize, ResizeOptions } from '../operations/resize.js';
import type { BackingFile } from '../output/backing.js';
import { checked } from './check.js';
import { pathPolicy } from './operations.js';
import { callback, fileName, milliseconds, options, size, whole, yesNo, type Fields } from './kinds.js';

const formatName = v.string('the name of a format, such as raw or qcow2');

const editing = { format: v.optional(formatName), undo: v.optional(yesNo) };

const edit = options(() => editing satisfies Fields<EditOptions>);

const resize = options(
  () =>
    ({
      ...editing,
      size: v.union([size(), callback], 'a number of bytes, or a function of what it is now'),
      shrink: v.optional(yesNo),
      preallocation: v.optional(
        v.picklist(['off', 'metadata', 'falloc', 'full'], "'off', 'metadata', 'falloc' or 'full'"),
      ),
      pathPolicy: v.optional(pathPolicy),
    }) satisfies Fields<ResizeOptions & { readonly size: NewSize }>,
);

const commit = options(
  () =>
    ({
      ...editing,
      base: v.optional(fileName),
      keep: v.optional(yesNo),
      pathPolicy: v.optional(pathPolicy),
      writeRate: v.optional(size(1n)),
    }) satisfies Fields<CommitOptions>,
);

const rebase = options(
  () =>
    ({
      ...editing,
      unsafe: v.optional(yesNo),
      compress: v.optional(yesNo),
      pathPolicy: v.optional(pathPolicy),
      backing: v.optional(options(() => ({ file: fileName, format: formatName }) satisfies Fields<BackingFile>)),
    }) satisfies Fields<RebaseOptions & { readonly backing: BackingFile | undefined }>,
);

/** @throws EngineError `INVALID_OPTION` */
export function checkCommitOptions(value: CommitOptions): v.InferOutput<typeof commit> {
  return checked(commit, 'options', value);
}

/** @throws EngineError `INVALID_OPTION` */
export function checkRebaseOptions(
  value: RebaseOptions & { readonly backing: BackingFile | undefined },
): v.InferOutput<typeof rebase> {
  return checked(rebase, 'options', value);
}

const repair = options(
  () =>
    ({
      ...editing,
      leaksOnly: v.optional(yesNo),
      onFinding: v.optional(callback),
      onRest: v.optional(callback),
    }) satisfies Fields<RepairOptions>,
);

const amendOptions = options(
  () =>
    ({
      ...editing,
      force: v.optional(yesNo),
      pathPolicy: v.optional(pathPolicy),
    }) satisfies Fields<AmendOptions>,
);

const passphrase = v.union([v.string(), v.instance(Uint8Array)], 'a passphrase: text or bytes');

const keySlots = options(
  () =>
    ({
      state: v.picklist(['active', 'inactive'], "'active' or 'inactive'"),
      newPassphrase: v.optional(passphrase),
      oldPassphrase: v.optional(passphrase),
      slot: v.optional(whole(0, 0xffff_ffff)),
      iterTimeMs: v.optional(milliseconds),
    }) satisfies Fields<KeySlotChange>,
);

const amendment = options(
  () =>
    ({
      version: v.optional(v.picklist([2, 3], '2 or 3')),
      lazyRefcounts: v.optional(yesNo),
      refcountBits: v.optional(v.number('a number of bits')),
      dataFile: v.optional(v.string('a name of a file')),
      dataFileRaw: v.optional(yesNo),
      size: v.optional(size()),
      keySlots: v.optional(keySlots),
    }) satisfies Fields<Amendment>,
);

const bitmaps = options(
  () =>
    ({
      ...editing,
      from: v.optional(options(() => ({ file: fileName, format: v.optional(formatName) }))),
    }) satisfies Fields<BitmapOptions>,
);

/** @throws EngineError `INVALID_OPTION` */
export function checkBitmapOptions(value: BitmapOptions): v.InferOutput<typeof bitmaps> {
  return checked(bitmaps, 'options', value);
}

const bitmapActions = v.array(
  v.variant('action', [
    v.object({ action: v.literal('add'), granularity: v.optional(size()) }),
    v.object({ action: v.literal('merge'), source: v.string() }),
    ...(['remove', 'clear', 'enable', 'disable'] as const).map((action) => v.object({ action: v.literal(action) })),
  ]),
  'an array of actions, such as { action: add }',
);

/** @throws EngineError `INVALID_OPTION` */
export function checkRepairOptions(value: RepairOptions): RepairOptions {
  return checked(repair, 'options', value) as RepairOptions;
}

/** @throws EngineError `INVALID_OPTION` */
export function checkAmendment(value: Amendment): v.InferOutput<typeof amendment> {
  return checked(amendment, 'amendment', value);
}

/** @throws EngineError `INVALID_OPTION` */
export function checkBitmapActions(value: readonly BitmapAction[]): readonly BitmapAction[] {
  return checked(bitmapActions, 'actions', value);
}

/** @throws EngineError `INVALID_OPTION` */
export function checkEditOptions(value: EditOptions): v.InferOutput<typeof edit> {
  return checked(edit, 'options', value);
}

/** @throws EngineError `INVALID_OPTION` */
export function checkAmendOptions(value: AmendOptions): v.InferOutput<typeof amendOptions> {
  return checked(amendOptions, 'options', value);
}

/** @throws EngineError `INVALID_OPTION` */
export function checkResizeOptions(
  value: ResizeOptions & { readonly size: NewSize },
): ResizeOptions & { readonly size: Exclude<NewSize, number> } {
  return checked(resize, 'options', value) as ResizeOptions & { readonly size: Exclude<NewSize, number> };
}
