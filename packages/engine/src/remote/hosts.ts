import type { LookupFunction } from 'node:net';
import { EngineError } from '../errors.js';
import { shownUrl } from './names.js';
import type { RemoteAccess } from './source.js';

/** Addresses that nobody outside a network has (RFC 1918, 3927, 4193, 4291, 6598, 6890), where no image should lead. */
const PRIVATE = {
  ipv4: [
    ['0.0.0.0', 8],
    ['10.0.0.0', 8],
    ['100.64.0.0', 10],
    ['127.0.0.0', 8],
    ['169.254.0.0', 16],
    ['172.16.0.0', 12],
    ['192.0.0.0', 24],
    ['192.168.0.0', 16],
    ['198.18.0.0', 15],
    ['224.0.0.0', 3],
  ],
  ipv6: [
    ['::', 127],
    ['64:ff9b:1::', 48],
    ['fc00::', 7],
    ['fe80::', 10],
    ['ff00::', 8],
  ],
} as const;
/** Addresses of version 6 that carry one of version 4, which counts: mapped ones and those of NAT64. */
const CARRIERS: readonly RegExp[] = [
  /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/i,
  /^64:ff9b::([0-9a-f]{1,4}):([0-9a-f]{1,4})$/i,
];

type IsPrivate = (address: string) => boolean;

let checker: Promise<IsPrivate> | undefined;

/** Tells whether an address belongs to this machine or a private network. The module for that is loaded when it is needed. */
export async function privateAddresses(): Promise<IsPrivate> {
  checker ??= import('node:net').then(({ BlockList, isIP }) => {
    const list = new BlockList();
    for (const family of ['ipv4', 'ipv6'] as const) {
      for (const [net, bits] of PRIVATE[family]) list.addSubnet(net, bits, family);
    }
    const isPrivate: IsPrivate = (address) => {
      const plain = address.replace(/%.*$/, '');
      const dotted = /^(?:::ffff:|64:ff9b::)(\d+\.\d+\.\d+\.\d+)$/i.exec(plain)?.[1];
      if (dotted !== undefined) return isPrivate(dotted);
      for (const carrier of CARRIERS) {
        const [, high, low] = carrier.exec(plain) ?? [];
        if (high === undefined || low === undefined) continue;
        const [one, two] = [Number.parseInt(high, 16), Number.parseInt(low, 16)];
        return isPrivate(`${one >> 8}.${one & 255}.${two >> 8}.${two & 255}`);
      }
      const family = isIP(plain);
      // What is no address is not one that anybody could have checked.
      return family === 0 || list.check(plain, family === 6 ? 'ipv6' : 'ipv4');
    };
    return isPrivate;
  });
  return checker;
}

function bare(hostname: string): string {
  return hostname
    .replace(/^\[|\]$/g, '')
    .replace(/\.$/, '')
    .toLowerCase();
}

function isLoopback(hostname: string): boolean {
  const host = bare(hostname);
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

function portOf(url: URL): string {
  return url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port;
}

/** Where a request may go, and whether it may go to addresses of private networks. */
export interface Destination {
  readonly url: URL;
  /** The user named this very host: it may be one of a private network. */
  readonly named: boolean;
  /** It is what was named at first: what authorises goes there only. */
  readonly first: boolean;
}

function refuseInsecure(url: URL, { allowInsecure = false }: RemoteAccess): void {
  if (url.protocol === 'https:' || (url.protocol === 'http:' && (allowInsecure || isLoopback(url.hostname)))) return;
  if (url.protocol === 'http:') {
    const what =
      'is read without encryption, and may be changed on its way; use https, or allow that (--allow-insecure)';
    throw new EngineError('REMOTE_REFUSED', what, { file: shownUrl(url) });
  }
  throw new EngineError('REMOTE_REFUSED', 'leads to something that is neither https nor http', { file: shownUrl(url) });
}

/** @throws EngineError `REMOTE_REFUSED` */
export function namedDestination(url: URL, access: RemoteAccess): Destination {
  refuseInsecure(url, access);
  return { url, named: true, first: true };
}

/**
 * Where a redirect leads, if the policy allows it: to the same host, or one that was allowed.
 * @throws EngineError `REMOTE_REFUSED`
 */
export function redirected(from: URL, location: string, access: RemoteAccess, first: URL): Destination {
  let url: URL;
  try {
    url = new URL(location, from);
  } catch {
    throw new EngineError('REMOTE_REFUSED', 'redirects to what is no URL', { file: shownUrl(from) });
  }
  const refuse = (why: string): EngineError =>
    new EngineError('REMOTE_REFUSED', `redirects to ${shownUrl(url)}, ${why}`, { file: shownUrl(from) });
  if (url.username !== '' || url.password !== '') {
    throw new EngineError('REMOTE_REFUSED', 'redirects to a URL with a password in it', { file: shownUrl(from) });
  }
  const insecure = url.protocol === 'http:' && !(access.allowInsecure === true || isLoopback(first.hostname));
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw refuse('which is neither https nor http');
  if (insecure || (url.protocol === 'http:' && from.protocol === 'https:')) throw refuse('which is not encrypted');
  const host = bare(url.hostname);
  const defaultPort = url.port === '';
  const same = host === bare(first.hostname) && (portOf(url) === portOf(first) || (defaultPort && first.port === ''));
  const allowed = access.allowedHosts ?? [];
  const named = allowed.some((entry) => {
    const text = entry.toLowerCase();
    return (
      text === `${host}:${portOf(url)}` || text === `[${host}]:${portOf(url)}` || (defaultPort && bare(text) === host)
    );
  });
  const matched = allowed.some(
    (entry) => entry.startsWith('*.') && defaultPort && host.endsWith(entry.slice(1).toLowerCase()),
  );
  if (!same && !named && !matched) throw refuse('another host, which is not allowed (--allow-host)');
  return { url, named: same || named, first: same && url.protocol === first.protocol };
}

/** Resolves names for a destination: where the user did not name the host, addresses of private networks are refused. */
export async function lookupFor({ url, named }: Destination): Promise<LookupFunction | undefined> {
  if (named) return undefined;
  const [{ lookup }, isPrivate] = await Promise.all([import('node:dns'), privateAddresses()]);
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      const [first] = error === null ? addresses : [];
      if (error !== null) callback(error, [], 0);
      else if (first === undefined || addresses.some(({ address }) => isPrivate(address))) {
        callback(privateAddress(url), [], 0);
      } else if (options.all === true) callback(null, addresses);
      else callback(null, first.address, first.family);
    });
  };
}

/** Refuses a host that is written as an address, which is never looked up. @throws EngineError `REMOTE_REFUSED` */
export async function refusePrivateAddress({ url, named }: Destination): Promise<void> {
  if (named) return;
  const [{ isIP }, isPrivate] = await Promise.all([import('node:net'), privateAddresses()]);
  const host = bare(url.hostname);
  if (isIP(host) !== 0 && isPrivate(host)) throw privateAddress(url);
}

function privateAddress(url: URL): EngineError {
  const what = 'has an address of a private network, to which only a host leads that was named as it is (--allow-host)';
  return new EngineError('REMOTE_REFUSED', what, { file: shownUrl(url) });
}
