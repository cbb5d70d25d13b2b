import { escapeText, type Json } from '@instar/engine';
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

function fieldOf(value: Json | undefined, name: string): Json | undefined {
  const fields: Readonly<Record<string, Json>> =
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Readonly<Record<string, Json>>)
      : {};
  return fields[name];
}

/** Images of a job for several that has ended of which there is no result, and why. */
export function imagesWithoutResult({
  result,
}: JobStatus): readonly { readonly input: string; readonly why: string }[] {
  const images = fieldOf(result, 'images');
  if (!Array.isArray(images)) return [];
  return images.flatMap((image: Json) => {
    const input = fieldOf(image, 'input');
    const why = fieldOf(fieldOf(image, 'refused') ?? fieldOf(image, 'failed'), 'message');
    return typeof input === 'string' && typeof why === 'string' ? [{ input, why }] : [];
  });
}
