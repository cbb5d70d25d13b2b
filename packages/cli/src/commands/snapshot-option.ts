import { EngineError, escapeText, type SnapshotSelector } from '@instar/engine';

const PREFIX = 'snapshot.';

function invalid(what: string): EngineError {
  return new EngineError('INVALID_OPTION', `-l: ${what}`);
}

/** Parts between commas, of which two stand for one. */
function parts(text: string): readonly string[] {
  return text
    .replaceAll(',,', '\0')
    .split(',')
    .map((part) => part.replaceAll('\0', ','));
}

/**
 * `-l` of qemu-img: an id or a name, or `snapshot.id=…,snapshot.name=…`.
 * @throws EngineError `INVALID_OPTION`
 */
export function snapshotSelector(text: string): SnapshotSelector {
  if (!text.startsWith(PREFIX)) return text;
  const selector: { id?: string; name?: string } = {};
  for (const part of parts(text)) {
    const [key = '', ...value] = part.split('=');
    if (value.length === 0 || (key !== 'snapshot.id' && key !== 'snapshot.name')) {
      throw invalid(`found '${escapeText(part)}', expected snapshot.id=ID or snapshot.name=NAME`);
    }
    selector[key === 'snapshot.id' ? 'id' : 'name'] = value.join('=');
  }
  return selector;
}

/** For the help of commands. */
export const SNAPSHOT_OPTION = [
  '-l, --snapshot <snapshot>',
  'read this internal snapshot: an id, a name, or snapshot.id=ID,snapshot.name=NAME (qcow2)',
] as const;
