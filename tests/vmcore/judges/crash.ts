import { ReaderRefusal, type Reading, complaint, limited } from './reading.js';

/** What crash says of a dump without a kernel beside it: the OSRELEASE of its VMCOREINFO. */
export function readWithCrash(file: string): Reading {
  const finished = limited(['crash', '--osrelease', file]);
  const [osRelease = ''] = finished.stdout.trim().split('\n').slice(-1);
  if (finished.status !== 0 || osRelease === '' || osRelease === 'unknown') {
    throw new ReaderRefusal('crash', complaint(finished));
  }
  return { osRelease };
}
