import { sandboxHelperPath } from '@instar/convert-guest';
import {
  ChainConfig,
  DEVICE_ROLE,
  IMAGE_FORMAT,
  INFO_RESULT_MAGIC,
  InfoConfig,
  InfoResult,
  NO_PARENT,
  RESULT_STATUS,
} from '@instar/shared-abi';
import { runGuest, VmmError, type RunReport } from '@instar/vmm-native';
import { convertGuestPath } from '@instar/convert-guest';
import { constants } from 'node:fs';
import { closeFile, openFile, statFile } from '@instar/host-files';
import { guestImage, sandboxProblem, type Sandbox } from './sandbox.js';

/** What works here. */
export interface SandboxReport {
  /** Why KVM cannot be used, with the remedy; undefined when it can. */
  readonly kvm: string | undefined;
  /** Why the process sandbox cannot be used; undefined when it can. */
  readonly process: string | undefined;
  /** What `auto` takes; undefined when nothing works. */
  readonly chosen: Sandbox | undefined;
}

/** A guest that does so little is long done after this time (milliseconds). */
const CHECK_MS = 20_000;

/**
 * Runs our own guest on a file of our own, which exercises all that a sandbox needs: its set-up, the ring, a read, the
 * end.
 * @returns why the sandbox cannot be used, with the remedy; undefined when it can
 */
export async function checkSandbox(sandbox: Sandbox): Promise<string | undefined> {
  const problem = sandboxProblem(sandbox);
  if (problem !== undefined) return problem;
  const fd = await openFile(convertGuestPath(), constants.O_RDONLY);
  try {
    const size = statFile(fd).size;
    const report = await runGuest({
      image: guestImage(),
      chainConfig: ChainConfig.encode({
        device_count: 1,
        max_depth: 1,
        devices: [
          {
            role: DEVICE_ROLE.values.IMAGE,
            format: IMAGE_FORMAT.values.PROBE,
            parent: NO_PARENT,
            flags: 0,
            file_size: size,
            virtual_size: 0n,
            start: 0n,
          },
        ],
      }),
      operationConfig: InfoConfig.encode({ device: 0 }),
      devices: [{ fd, access: 'input', size }],
      sandbox,
      helper: sandboxHelperPath(),
      limits: { wallClockMs: CHECK_MS },
    });
    return complaint(report, size);
  } catch (error) {
    if (error instanceof VmmError && error.code === 'SANDBOX_UNAVAILABLE') return error.message;
    throw error;
  } finally {
    await closeFile(fd);
  }
}

function complaint(report: RunReport, size: bigint): string | undefined {
  if (report.outcome !== 'exit') return report.message;
  const result = InfoResult.decode(report.result);
  const right =
    result.magic === INFO_RESULT_MAGIC && result.status === RESULT_STATUS.values.OK && result.virtual_size >= size;
  return right ? undefined : 'a guest ran in it, but did not do what it should';
}

/**
 * Looks at which sandboxes work on this machine, by running a guest in each.
 * @throws EngineError `UNSUPPORTED_PLATFORM` where there is no native part.
 */
export async function checkSandboxes(): Promise<SandboxReport> {
  const kvm = await checkSandbox('kvm');
  const confined = await checkSandbox('process');
  return { kvm, process: confined, chosen: kvm === undefined ? 'kvm' : confined === undefined ? 'process' : undefined };
}
