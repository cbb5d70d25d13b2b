import { EDIT_ACTION, EDIT_FLAG, IMAGE_FORMAT } from '@instar/shared-abi';
import { EngineError } from '../errors.js';
import { formatName } from '../format-names.js';
import type { OperationControl } from '../operation.js';
import { checkControl } from '../options/control.js';
import { checkRepairOptions } from '../options/edits.js';
import { checkFileName } from '../options/operations.js';
import { checkImage, type CheckFinding, type CheckReport } from './check.js';
import { editing, type EditOptions } from './edit.js';
import { ScratchFile } from './scratch.js';

/** How an image is repaired. */
export interface RepairOptions extends EditOptions {
  /** Only frees what nothing uses (default false). */
  readonly leaksOnly?: boolean | undefined;
  /** Called with each finding of the first check, in the order in which they are found. */
  readonly onFinding?: ((finding: CheckFinding) => void) | undefined;
  /** Called with each finding that is left. */
  readonly onRest?: ((finding: CheckFinding) => void) | undefined;
}

/** What a repair came to. */
export interface RepairReport {
  /** What a check says afterwards. */
  readonly report: CheckReport;
  readonly corruptionsFixed: bigint;
  readonly leaksFixed: bigint;
}

const { PARALLELS, QCOW2, QED, VDI, VHDX } = IMAGE_FORMAT.values;
const REPAIRED: readonly number[] = [PARALLELS, QCOW2, QED, VDI, VHDX];

/**
 * Checks an image's metadata, and makes it agree with itself, as `qemu-img check -r` does (qcow2, qed, parallels, vhdx, and
 * vdi). Where nothing is wrong, nothing is changed.
 * @throws EngineError `UNSUPPORTED_FORMAT` for formats that are not repaired; the image is then as it was
 */
export async function repair(
  file: string,
  givenOptions: RepairOptions = {},
  givenControl: OperationControl = {},
): Promise<RepairReport> {
  checkFileName(file);
  const { leaksOnly = false, onFinding, onRest, ...options } = checkRepairOptions(givenOptions);
  return editing(file, options, checkControl(givenControl), async ({ session, info, edit }) => {
    if (!REPAIRED.includes(info.format)) {
      const problem = `images of format ${formatName(info.format)} are not repaired`;
      throw new EngineError('UNSUPPORTED_FORMAT', problem, { file });
    }
    const scratch = await ScratchFile.create();
    try {
      session.add(scratch.device);
      const about = { file, format: info.format };
      await checkImage(session, scratch, { ...about, last: false, onFinding });
      const fixed = await edit({
        action: EDIT_ACTION.values.REPAIR,
        flags: leaksOnly ? EDIT_FLAG.values.LEAKS_ONLY : 0,
      });
      const report = await checkImage(session, scratch, { ...about, last: true, onFinding: onRest });
      return { report, corruptionsFixed: fixed.corruptions_fixed, leaksFixed: fixed.leaks_fixed };
    } finally {
      await session.close();
      await scratch.close();
    }
  });
}
