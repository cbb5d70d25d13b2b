import { escapeText } from '@instar/engine';
import type { JobStatus } from '@instar/jobs';
import { recordLine } from '../../render/record.js';

/** States in which nothing more becomes of a job. */
const ENDED: readonly JobStatus['state'][] = ['done', 'refused', 'failed', 'cancelled'];

export function hasEnded({ state }: JobStatus): boolean {
  return ENDED.includes(state);
}

/** A job as a line. */
export function jobLine(job: JobStatus, json: boolean): string {
  if (json) return recordLine({ job });
  const { id, kind, state, attempts, progress, error } = job;
  const share =
    state === 'active' && progress !== undefined && progress.total > 0
      ? ` ${Math.floor((100 * progress.done) / progress.total)}%`
      : '';
  const tries = attempts > 1 ? `, ${attempts} attempts` : '';
  const why = error === undefined ? '' : `: ${escapeText(error.message)}`;
  return `${id}  ${escapeText(kind)}  ${state}${share}${tries}${why}\n`;
}
