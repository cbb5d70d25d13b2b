import { escapeText, type OperationControl, type OperationDetail } from '@instar/engine';
import { humanSize } from './size.js';
import { standardError } from '../process/standard-streams.js';

function line(detail: OperationDetail): string {
  if (detail.kind === 'guest') {
    const { sandbox, outcome, elapsedMs, commands } = detail;
    return `sandbox ${sandbox}: ended (${outcome}) after ${elapsedMs.toFixed(1)} ms and ${commands} commands`;
  }
  const { path, format, declared, virtualSize } = detail;
  return `image ${escapeText(path)}: ${format} (${declared ? 'declared' : 'probed'}), ${humanSize(virtualSize)} (${virtualSize} bytes)`;
}

/** Tells on standard error what an operation was made of: images, sandboxes, times. */
export interface DetailTeller {
  readonly control: Pick<OperationControl, 'onDetail'>;
  /** Tells how long it took in all. */
  end(): void;
}

/** @param wanted `--verbose` was given */
export function detailTeller(command: string, wanted: boolean): DetailTeller {
  if (!wanted) return { control: {}, end: () => undefined };
  const tell = (text: string): void => {
    standardError.write(`instar: ${command}: ${text}\n`);
  };
  return {
    control: {
      onDetail: (detail) => {
        tell(line(detail));
      },
    },
    end: () => {
      // Since node itself began: what somebody waited for.
      tell(`took ${performance.now().toFixed(0)} ms in all`);
    },
  };
}
