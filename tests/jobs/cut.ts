import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/** A network between two programs that can be cut. */
export interface Cut {
  /** Where the other end is found through it. */
  readonly host: string;
  readonly port: number;
  /** Words in front of a command line whose program is behind it. */
  readonly enter: readonly string[];
  /** Connections so far. */
  connections(): number;
  /** Nothing goes through any more, and nobody is told: as a cable that is pulled. */
  pull(): void;
  /** Connections break, and so do new ones: as a router that refuses. */
  refuse(): void;
  mend(): void;
}

/** Stands between programs and a port of this machine until the test has ended. */
export async function cuttable(port: number): Promise<Cut> {
  let state: 'whole' | 'pulled' | 'refused' = 'whole';
  const sockets = new Set<Socket>();
  const pairs = new Set<readonly [Socket, Socket]>();
  let connections = 0;
  const server = createServer((near) => {
    connections += 1;
    sockets.add(near);
    near.on('error', () => undefined).once('close', () => sockets.delete(near));
    if (state === 'refused') near.destroy();
    if (state !== 'whole') return;
    const far = connect(port, '127.0.0.1');
    sockets.add(far);
    const pair = [near, far] as const;
    pairs.add(pair);
    far
      .on('error', () => undefined)
      .once('close', () => {
        sockets.delete(far);
        pairs.delete(pair);
        near.destroy();
      });
    near.once('close', () => far.destroy());
    near.pipe(far);
    far.pipe(near);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const destroyAll = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  onTestFinished(() => {
    destroyAll();
    server.close();
  });
  return {
    host: '127.0.0.1',
    enter: [],
    connections: () => connections,
    port: (server.address() as AddressInfo).port,
    pull: () => {
      state = 'pulled';
      for (const [near, far] of pairs) {
        near.unpipe(far).pause();
        far.unpipe(near).pause();
      }
    },
    refuse: () => {
      state = 'refused';
      destroyAll();
    },
    mend: () => {
      state = 'whole';
      // What was sent meanwhile is lost, so those connections are dead.
      destroyAll();
    },
  };
}
