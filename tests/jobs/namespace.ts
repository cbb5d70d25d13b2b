import { execFileSync } from 'node:child_process';
import { connect, createServer, type AddressInfo } from 'node:net';
import { onTestFinished, type TestContext } from 'vitest';
import { skipLoudly } from '../support/judge.js';
import type { Cut } from './cut.js';

let made = 0;

function ip(...words: readonly string[]): void {
  execFileSync('ip', words, { stdio: 'ignore' });
}

/**
 * Makes a network namespace from which a port of this machine can be reached until the test has ended, or until it is cut: what is
 * on its way is then lost as on a real network, and nobody is told.
 * @returns undefined where that needs rights that this process has not; the test is skipped
 */
export async function networkNamespace(context: TestContext, port: number): Promise<Cut | undefined> {
  made += 1;
  const name = `instar${process.pid}-${made}`;
  const [here, there] = [`iv${process.pid % 100_000}.${made}a`, `iv${process.pid % 100_000}.${made}b`];
  // Of the addresses that no network has in common with another.
  const net = `169.254.${200 + (process.pid % 50)}`;
  const [host, guest] = [`${net}.${4 * (made % 60) + 1}`, `${net}.${4 * (made % 60) + 2}`];
  try {
    ip('netns', 'add', name);
  } catch {
    skipLoudly(context, 'a network namespace needs the rights of root, and ip (Debian: apt-get install iproute2)');
    return undefined;
  }
  onTestFinished(() => {
    ip('netns', 'del', name);
  });
  ip('link', 'add', here, 'type', 'veth', 'peer', 'name', there, 'netns', name);
  ip('addr', 'add', `${host}/30`, 'dev', here);
  ip('link', 'set', here, 'up');
  ip('-n', name, 'addr', 'add', `${guest}/30`, 'dev', there);
  ip('-n', name, 'link', 'set', there, 'up');
  ip('-n', name, 'link', 'set', 'lo', 'up');
  // Servers of tests listen on the loopback only.
  let connections = 0;
  const relay = createServer((near) => {
    connections += 1;
    const far = connect(port, '127.0.0.1');
    near.on('error', () => undefined).once('close', () => far.destroy());
    far.on('error', () => undefined).once('close', () => near.destroy());
    near.pipe(far).pipe(near);
  });
  await new Promise<void>((resolve) => relay.listen(0, host, resolve));
  onTestFinished(() => {
    relay.close();
  });
  return {
    host,
    connections: () => connections,
    port: (relay.address() as AddressInfo).port,
    enter: ['nsenter', `--net=/run/netns/${name}`],
    pull: () => {
      ip('link', 'set', here, 'down');
    },
    refuse: () => {
      ip('-n', name, 'link', 'set', there, 'down');
    },
    mend: () => {
      ip('link', 'set', here, 'up');
      ip('-n', name, 'link', 'set', there, 'up');
    },
  };
}
