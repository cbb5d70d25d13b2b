import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { errnoName } from '../src/errno.js';
import { skipLoudly } from '../../../tests/support/judge.js';

it('knows every error of errno.h by its name', (context) => {
  const script = 'import errno, json; print(json.dumps(errno.errorcode))';
  const python = spawnSync('python3', ['-c', script], { encoding: 'utf8' });
  if (python.status !== 0) skipLoudly(context, 'python3 is the judge of error names');
  const known = JSON.parse(python.stdout) as Record<string, string>;
  const shared: Readonly<Record<string, string>> = {
    EDEADLK: 'EDEADLOCK',
    ENOTSUP: 'EOPNOTSUPP',
    EAGAIN: 'EWOULDBLOCK',
  };
  for (const [number, name] of Object.entries(known)) {
    const found = errnoName(Number(number));
    expect([name, shared[name], Object.entries(shared).find(([, other]) => other === name)?.[0]]).toContain(found);
  }
  expect(Object.keys(known).length).toBeGreaterThan(120);
});

it('says the number of an error that there is not', () => {
  expect(errnoName(4000)).toBe('errno 4000');
});
