// Images behind a URL: what an honest server comes to, and what servers that lie, change, stop or lead elsewhere do.
import { randomFillSync } from 'node:crypto';
import { dd, info, isRemoteName, openImage, type EngineError, type RemoteAccess } from '@instar/engine';
import { beforeAll, describe, expect, it } from 'vitest';
import { instar } from '../support/command.js';
import { QEMU_IMG, requireJudge, type Judge } from '../support/judge.js';
import { qemuImg } from '../support/qemu-img.js';
import { workdir, type Workdir } from '../support/workdir.js';
import { program } from '../support/command.js';
import { honest, serve, type Answer, type RangeServer, type Request } from './server.js';

const OPENSSL: Judge = { program: 'openssl', probe: ['version'], package: 'openssl' };
const MIB = 1 << 20;
const RAW = new Uint8Array(5 * MIB + 512);
const FAST: RemoteAccess = { attempts: 2, stallMs: 400 };

beforeAll(() => {
  randomFillSync(RAW);
});

/** `dd` of a raw disk behind a URL into a file of `directory`; the error where it fails. */
async function copy(
  server: Pick<RangeServer, 'url'>,
  directory: Workdir,
  remote: RemoteAccess = FAST,
  path?: string,
): Promise<EngineError | undefined> {
  const input = { path: server.url(path) };
  try {
    await dd({ input, output: { path: directory.file('out.raw') }, inputFormat: 'raw', remote, sandbox: 'process' });
    return undefined;
  } catch (error) {
    return error as EngineError;
  }
}

it('may be without its time in later answers, which its ETag says all of', async () => {
  const directory = workdir();
  const time = { 'last-modified': 'Mon, 01 Jan 2024 00:00:00 GMT' };
  const server = await serve(RAW, ({ number }) => (number === 0 ? { headers: time } : undefined));
  expect(await copy(server, directory)).toBeUndefined();
  expect(server.requests.length).toBeGreaterThan(1);
  expect(directory.read('out.raw').equals(RAW)).toBe(true);
});

describe('an image that was looked at before', () => {
  /** Which one it is, for whoever reads it again. */
  async function versionOf(server: RangeServer): Promise<RemoteAccess> {
    await using image = await openImage(server.url(), { format: 'raw', remote: FAST, sandbox: 'process' });
    const { remoteVersion } = image;
    if (remoteVersion === undefined) throw new Error('a URL has a version');
    return { ...FAST, expected: { [server.url()]: remoteVersion } };
  }

  it('is read again, of which the first question says so', async () => {
    const directory = workdir();
    const server = await serve(RAW);
    const expected = await versionOf(server);
    expect(expected.expected?.[server.url()]).toMatchObject({ size: BigInt(RAW.length), etag: '"one"' });
    const { length } = server.requests;
    expect(await copy(server, directory, expected)).toBeUndefined();
    expect(server.requests[length]?.headers['if-range']).toBe('"one"');
    expect(directory.read('out.raw').equals(RAW)).toBe(true);
  });

  it.for([
    ['by its ETag', { headers: { etag: '"two"' } }],
    ['as its server says', { status: 200, body: RAW }],
    ['by its time', { headers: { etag: '"one"', 'last-modified': 'Mon, 01 Jan 2024 00:00:00 GMT' } }],
  ] as const)('is refused before a byte is written where it is another one by now: %s', async ([, another]) => {
    const directory = workdir();
    let changed = false;
    const server = await serve(RAW, () => (changed ? another : undefined));
    const expected = await versionOf(server);
    changed = true;
    expect(await copy(server, directory, expected)).toMatchObject({ code: 'REMOTE_CHANGED' });
    expect(directory.names()).toEqual([]);
  });

  it('has no version where it is a file', async () => {
    const directory = workdir().write('disk.raw', RAW);
    await using image = await openImage(directory.file('disk.raw'), { format: 'raw', sandbox: 'process' });
    expect(image.remoteVersion).toBeUndefined();
  });
});

describe('an image behind a URL', () => {
  it.for(['info', 'map', 'check', 'compare', 'measure', 'convert', 'dd'] as const)(
    'instar %s says of it what it says of the file',
    async (command, context) => {
      requireJudge(context, QEMU_IMG);
      const directory = workdir().write('disk.raw', RAW);
      qemuImg('convert', '-c', '-O', 'qcow2', 'disk.raw', 'disk.qcow2').in(directory).must();
      const server = await serve(directory.read('disk.qcow2'));
      const arguments_ = (name: string): string[] =>
        ({
          info: ['info', '--json', name],
          map: ['map', '--json', name],
          check: ['check', '--json', name],
          compare: ['compare', name, 'disk.raw'],
          measure: ['measure', '--json', '-O', 'qcow2', name],
          convert: ['convert', name, 'out.raw'],
          dd: ['dd', `if=${name}`, 'of=-', 'bs=1M'],
        })[command];
      const far = await instar(...arguments_(server.url()))
        .in(directory)
        .start();
      expect(far.stderr).toBe('');
      expect(far.status).toBe(0);
      const near = instar(...arguments_('disk.qcow2'))
        .in(directory)
        .must();
      if (command === 'dd') expect(far.stdoutBytes.equals(RAW)).toBe(true);
      else if (command === 'convert')
        expect(
          qemuImg('compare', '-f', 'raw', '-F', 'raw', 'out.raw', 'disk.raw').in(directory).must().stdout,
        ).toContain('identical');
      else {
        const plain = (text: string): string =>
          text.replaceAll(server.url(), 'disk.qcow2').replace(/"(actual-size|actualSize)": \d+/g, '"$1": 0');
        expect(plain(far.stdout)).toBe(plain(near.stdout));
      }
      expect(server.requests.every(({ range }) => range !== undefined)).toBe(true);
    },
  );

  it('is read over https, whose certificate counts', async (context) => {
    requireJudge(context, OPENSSL);
    const directory = workdir();
    program(
      ...[
        'openssl',
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        '-nodes',
        '-days',
        '2',
      ],
      ...['-keyout', 'key.pem', '-out', 'cert.pem', '-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'],
    )
      .in(directory)
      .must();
    const tls = { key: directory.read('key.pem'), cert: directory.read('cert.pem') };
    const server = await serve(RAW, undefined, { tls });
    const command = instar('dd', '-f', 'raw', `if=${server.url()}`, 'of=-').in(directory);
    const trusted = await command.environment({ NODE_EXTRA_CA_CERTS: directory.file('cert.pem') }).start();
    expect(trusted.stderr).toBe('');
    expect(trusted.stdoutBytes.equals(RAW)).toBe(true);
    const strange = await command.environment({ NODE_EXTRA_CA_CERTS: '' }).start();
    expect(strange.stderr).toMatch(
      /^instar: dd: https:\/\/127\.0\.0\.1:\d+\/disk: cannot be read: its host shows a certificate that is not valid \(\w+\)\n$/,
    );
    expect([strange.status, strange.stdout]).toEqual([1, '']);
  });

  it('is fetched in few requests, and nothing twice that is kept', async () => {
    const directory = workdir();
    const server = await serve(RAW);
    expect(await copy(server, directory)).toBeUndefined();
    expect(directory.read('out.raw').equals(RAW)).toBe(true);
    const fetched = server.requests.map(({ range = '' }) => {
      const [, first, last] = /(\d+)-(\d+)/.exec(range) ?? [];
      return Math.min(Number(last) + 1, RAW.length) - Number(first);
    });
    // The head, which is asked for first, comes with its block once more.
    expect(fetched.reduce((sum, length) => sum + length, 0)).toBeLessThanOrEqual(RAW.length + 65_536);
    expect(fetched.length).toBeLessThanOrEqual(12);
  });

  it('of no byte is an empty disk', async () => {
    const directory = workdir();
    expect(await copy(await serve(new Uint8Array(0)), directory)).toBeUndefined();
    expect(directory.read('out.raw').length).toBe(0);
  });

  it('is a name of a file to whoever did not say that names may lead elsewhere', async () => {
    const server = await serve(RAW);
    await expect(info(server.url(), { sandbox: 'process' })).rejects.toMatchObject({ code: 'READ_FAILED' });
    expect(server.requests).toEqual([]);
    expect(['https://a/b', 'HTTP://a', 's3://a/b'].map(isRemoteName)).toEqual([true, true, true]);
    expect(['./https://a/b', 'ftp://a/b', 'https:/a', '/https://a'].map(isRemoteName)).toEqual([
      false,
      false,
      false,
      false,
    ]);
  });

  it('names no file of this machine, and no other URL', async (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir().write('base.raw', RAW);
    const server = await serve(RAW);
    for (const backing of ['base.raw', directory.file('base.raw'), server.url('/base')]) {
      qemuImg('create', '-u', '-f', 'qcow2', '-F', 'raw', '-b', backing, 'top.qcow2', '1M').in(directory).must();
      const top = await serve(directory.read('top.qcow2'));
      const done = await instar('dd', `if=${top.url()}`, 'of=out.raw', '--allow-path', directory.path)
        .in(directory)
        .start();
      expect(done.stderr).toMatch(
        /^instar: dd: http:[^\n]+ names the backing file [^\n]+ references are switched off\n$/,
      );
      expect(done.status).toBe(1);
      if (!backing.startsWith('http')) continue;
      const local = instar('dd', 'if=top.qcow2', 'of=out.raw').in(directory).run();
      expect(local.stderr).toContain('only plain file names are followed');
    }
    expect(server.requests).toEqual([]);
    expect(directory.names()).toEqual(['base.raw', 'top.qcow2']);
  });
});

const tail = (request: Request): boolean => request.number > 0;
const part = ({ range }: Request): Required<Pick<Answer, 'status' | 'headers' | 'body'>> => honest(RAW, range);

describe('a server that is not as it was', () => {
  it.for<[string, (request: Request) => Answer | undefined, RegExp]>([
    [
      'has another ETag',
      (request) => (tail(request) ? { headers: { etag: '"two"' } } : undefined),
      /^http.*: was changed while it was read: its ETag is another one$/,
    ],
    [
      'loses its ETag',
      (request) => (tail(request) ? { headers: { etag: undefined } } : undefined),
      /its ETag is another one$/,
    ],
    [
      'has another time',
      (request) => ({
        headers: { 'last-modified': tail(request) ? 'Tue, 02 Jan 2024 00:00:00 GMT' : 'Mon, 01 Jan 2024 00:00:00 GMT' },
      }),
      /its Last-Modified is another one$/,
    ],
    [
      'is longer',
      (request) =>
        tail(request)
          ? { headers: { 'content-range': part(request).headers['content-range']?.replace(/\/\d+/, '/9999999') } }
          : undefined,
      /its length was \d+, is 9999999$/,
    ],
    [
      'says so (412)',
      (request) => (tail(request) ? { status: 412, body: new Uint8Array(0) } : undefined),
      /its server says so$/,
    ],
    [
      'answers If-Range with the whole',
      (request) =>
        tail(request) && request.headers['if-range'] === '"one"'
          ? { status: 200, body: RAW, headers: { 'content-range': undefined } }
          : undefined,
      /its server says so$/,
    ],
    [
      'is gone',
      (request) => (tail(request) ? { status: 416, body: new Uint8Array(0) } : undefined),
      /its server says so$/,
    ],
  ])('one that %s: one line, and no output', async ([, misbehave, message]) => {
    const directory = workdir();
    const error = await copy(await serve(RAW, misbehave), directory);
    expect(error).toMatchObject({ code: 'REMOTE_CHANGED' });
    expect(error?.message).toMatch(message);
    expect(directory.names()).toEqual([]);
  });
});

describe('a server that fails', () => {
  it.for<[string, (request: Request) => Answer | undefined, RegExp]>([
    [
      'gives no ranges',
      () => ({ status: 200, body: RAW, headers: { 'content-range': undefined } }),
      /its server gives no ranges; download it first.*instar convert -/,
    ],
    ['has nothing there', () => ({ status: 404 }), /there is no such thing \(404\)$/],
    ['wants a password', () => ({ status: 401 }), /wants to know who asks \(401\)$/],
    [
      'does not say which bytes',
      () => ({ headers: { 'content-range': undefined } }),
      /does not say which bytes it sends/,
    ],
    [
      'says nonsense of them',
      () => ({ headers: { 'content-range': 'bytes 5-1/3' } }),
      /does not say which bytes it sends/,
    ],
    [
      'has an endless length',
      () => ({ headers: { 'content-range': 'bytes 0-65535/9999999999999999999' } }),
      /does not say which bytes it sends/,
    ],
    [
      'has no known length',
      () => ({ headers: { 'content-range': 'bytes 0-65535/*' } }),
      /does not say which bytes it sends/,
    ],
    [
      'sends other bytes',
      (request) => (tail(request) ? { headers: { 'content-range': `bytes 0-1/${RAW.length}` } } : undefined),
      /sends bytes 0-1, not those that were asked for/,
    ],
    ['packs them', () => ({ headers: { 'content-encoding': 'gzip' } }), /packs what it sends/],
    [
      'sends too much',
      (request) =>
        tail(request)
          ? { body: RAW, headers: { 'content-length': undefined, 'transfer-encoding': 'chunked' } }
          : undefined,
      /more was sent than the \d+ bytes asked for$/,
    ],
    [
      'sends too little',
      (request) => (tail(request) ? { body: part(request).body.subarray(1), headers: {} } : undefined),
      /the answer ended after \d+ of \d+ bytes \(tried 2 times\)$/,
    ],
    [
      'breaks off',
      (request) => (tail(request) ? { breakAfter: 100 } : undefined),
      /cannot be read: .* \(tried 2 times\)$/,
    ],
    [
      'sends no byte more',
      (request) => (tail(request) ? { stall: true } : undefined),
      /no byte came for 400 ms \(tried 2 times\)$/,
    ],
    ['answers 503', () => ({ status: 503 }), /its server answers 503 \(tried 2 times\)$/],
  ])('one that %s: one line, and no output', async ([, misbehave, message]) => {
    const directory = workdir();
    const error = await copy(await serve(RAW, misbehave), directory);
    expect(error).toMatchObject({ code: 'READ_FAILED' });
    expect(error?.message).toMatch(message);
    expect(error?.message).not.toContain('\n');
    expect(directory.names()).toEqual([]);
  });

  it('one that sends a byte now and then, for ever: it is not waited for', async () => {
    const started = performance.now();
    const error = await copy(await serve(RAW.subarray(0, 2000), () => ({ drip: 20 })), workdir());
    expect(error?.message).toMatch(/2000 bytes did not come within 645 ms \(tried 2 times\)$/);
    expect(performance.now() - started).toBeLessThan(8000);
  });

  it('for a while: what it does then is read', async () => {
    const directory = workdir();
    const failures: (Answer | undefined)[] = [
      { status: 500 },
      { status: 429, headers: { 'retry-after': '0' } },
      undefined,
      { breakAfter: 1000 },
      { status: 503 },
    ];
    const server = await serve(RAW, ({ number }) => failures[number]);
    expect(await copy(server, directory, { attempts: 4 })).toBeUndefined();
    expect(directory.read('out.raw').equals(RAW)).toBe(true);
  });

  it('or is not there at all', async () => {
    const directory = workdir();
    const error = await copy({ url: () => 'http://127.0.0.1:1/disk' }, directory);
    expect(error?.message).toBe(
      'http://127.0.0.1:1/disk: cannot be read: its host takes no connection (tried 2 times)',
    );
  });

  it('does not hold who aborts', async () => {
    const server = await serve(RAW, (request) => (tail(request) ? { stall: true } : undefined));
    const abort = new AbortController();
    const done = dd({
      input: { path: server.url() },
      output: { path: workdir().file('out.raw') },
      inputFormat: 'raw',
      remote: {},
      signal: abort.signal,
      sandbox: 'process',
    });
    setTimeout(() => {
      abort.abort();
    }, 200);
    const start = performance.now();
    await expect(done).rejects.toMatchObject({ code: 'ABORTED' });
    expect(performance.now() - start).toBeLessThan(5000);
  });
});

describe('a redirect', () => {
  const to =
    (location: string) =>
    ({ url }: Request): Answer | undefined =>
      url === '/disk' ? { status: 302, headers: { location }, body: new Uint8Array(0) } : undefined;

  it('to the same host is followed, and its query is in no message', async () => {
    const directory = workdir();
    expect(await copy(await serve(RAW, to('/other?token=secret')), directory)).toBeUndefined();
    const broken = await serve(RAW, (request) => to('/other?token=secret')(request) ?? { status: 404 });
    expect((await copy(broken, directory, FAST, '/disk?sig=secret'))?.message).not.toContain('secret');
  });

  it('to another host is followed where that is allowed, and nothing that authorises goes along', async () => {
    const directory = workdir();
    const other = await serve(RAW);
    const server = await serve(RAW, to(other.url('/there')));
    const refused = await copy(server, directory);
    expect(refused).toMatchObject({ code: 'REMOTE_REFUSED' });
    expect(refused?.message).toContain('another host, which is not allowed (--allow-host)');
    expect(other.requests).toEqual([]);
    const remote = { ...FAST, allowedHosts: [`127.0.0.1:${other.port}`], authorization: 'Bearer secret' };
    expect(await copy(server, directory, remote)).toBeUndefined();
    expect(server.requests.at(-1)?.headers.authorization).toBe('Bearer secret');
    expect(other.requests.length).toBeGreaterThan(0);
    expect(other.requests.some(({ headers }) => headers.authorization !== undefined)).toBe(false);
  });

  it.for([
    ['http://169.254.169.254/latest/meta-data/', /another host/],
    ['http://[::ffff:127.0.0.1]:PORT/x', /another host/],
    ['http://127.0.0.1:1/', /another host/],
    ['http://example.com/', /another host|not encrypted/],
    ['file:///etc/passwd', /neither https nor http/],
    ['ftp://127.0.0.1/', /neither https nor http/],
    ['//evil.example/', /another host/],
    ['http://user:pw@127.0.0.1:PORT/', /with a password in it/],
    ['https://[', /is no URL/],
    ['/disk', /redirects more than 5 times/],
  ] as const)('to %s is refused', async ([location, message]) => {
    const directory = workdir();
    let port = 0;
    const server = await serve(RAW, () => ({
      status: 307,
      headers: { location: location.replace('PORT', String(port)) },
    }));
    ({ port } = server);
    const error = await copy(server, directory);
    expect(error).toMatchObject({ code: 'REMOTE_REFUSED' });
    expect(error?.message).toMatch(message);
    expect(error?.message).not.toContain('pw');
    expect(directory.names()).toEqual([]);
  });

  it('to a name that resolves to this machine is refused where only its domain was allowed', async () => {
    const directory = workdir();
    const other = await serve(RAW);
    const server = await serve(RAW, to(`https://a.localhost/there`));
    expect(other.requests).toEqual([]);
    const error = await copy(server, directory, { ...FAST, allowedHosts: ['*.localhost'] });
    // What resolves no such name at all has nothing to refuse.
    expect(error?.message).toMatch(/has an address of a private network|its host is not known/);
  });
});

describe('what is not encrypted, and what is secret', () => {
  it('http: of another machine is refused, unless it is allowed', async () => {
    const url = 'http://192.0.2.1/disk';
    const error = await copy({ url: () => url }, workdir());
    expect(error?.message).toBe(
      `${url}: is read without encryption, and may be changed on its way; use https, or allow that (--allow-insecure)`,
    );
  });

  it.for([
    'https://user:hunter2@example.com/x',
    'http://hunter2@127.0.0.1/x',
    'https://user:hunter2/@[',
    's3://hunter2@bucket/',
  ])('a password in %s is refused, and not repeated', async (url) => {
    const done = await instar('info', url).start();
    expect(done.status).toBe(1);
    expect(done.stderr).toMatch(/^instar: info: [^\n]+\n$/);
    expect(done.stderr).not.toContain('hunter2');
  });

  it('the header of the environment goes to the host, and a signed query into no output', async () => {
    const server = await serve(RAW, undefined);
    const command = instar('info', '-f', 'raw', '--json', '-v', server.url('/disk?X-Amz-Signature=hunter2'));
    const done = await command.environment({ INSTAR_HTTP_AUTHORIZATION: 'Bearer hunter3' }).start();
    expect(done.status).toBe(0);
    expect(server.requests[0]?.headers.authorization).toBe('Bearer hunter3');
    expect(server.requests[0]?.url).toContain('X-Amz-Signature=hunter2');
    expect(done.stdout + done.stderr).not.toMatch(/hunter/);
    const failing = await serve(RAW, () => ({ status: 403 }));
    for (const args of [['info'], ['info', '--json'], ['compare', 'x'], ['check'], ['map'], ['measure']]) {
      const failed = await instar(...args, failing.url('/disk?sig=hunter2')).start();
      expect(failed.status).not.toBe(0);
      expect(failed.stdout + failed.stderr).not.toMatch(/hunter/);
    }
  });
});
