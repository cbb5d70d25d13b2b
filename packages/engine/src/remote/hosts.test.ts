import { describe, expect, it } from 'vitest';
import { namedDestination, privateAddresses, redirected, refusePrivateAddress } from './hosts.js';

describe('addresses of private networks', () => {
  it.for([
    ...['127.0.0.1', '127.255.0.1', '10.1.2.3', '172.16.0.1', '172.31.255.255', '192.168.1.1', '169.254.169.254'],
    ...['100.64.0.1', '0.0.0.0', '224.0.0.1', '255.255.255.255', '198.18.0.1', '192.0.0.192'],
    ...['::1', '::', 'fe80::1', 'fe80::1%eth0', 'fc00::1', 'fdff::1', 'ff02::1', 'fd00:ec2::254'],
    ...[
      '::ffff:127.0.0.1',
      '::ffff:7f00:1',
      '::ffff:a9fe:a9fe',
      '64:ff9b::169.254.169.254',
      '64:ff9b::a00:1',
      '64:ff9b:1::1',
    ],
    ...['localhost', '', '1.2.3'],
  ])('%s is one, or none at all', async (address) => {
    expect((await privateAddresses())(address)).toBe(true);
  });

  it.for([
    '1.1.1.1',
    '172.32.0.1',
    '192.169.0.1',
    '100.128.0.1',
    '2606:4700::1111',
    '::ffff:1.1.1.1',
    '64:ff9b::808:808',
  ])('%s is one of the net', async (address) => {
    expect((await privateAddresses())(address)).toBe(false);
  });
});

describe('where a redirect may lead', () => {
  const first = new URL('https://images.example/disk');
  const follow = (location: string, allowedHosts: readonly string[] = [], from = first) =>
    redirected(from, location, { allowedHosts }, first);

  it('is the same host, with what authorises', () => {
    expect(follow('/other')).toMatchObject({ named: true, first: true });
    expect(follow('https://IMAGES.example./other')).toMatchObject({ named: true });
    expect(() => follow('https://images.example:8443/')).toThrow('another host');
    expect(() => follow('http://images.example/')).toThrow('not encrypted');
    expect(() => follow('https://images.example.evil/')).toThrow('another host');
    expect(() => follow('https://evil/https://images.example/')).toThrow('another host');
  });

  it('is a host that was allowed, without what authorises', () => {
    expect(follow('https://cdn.example/x', ['cdn.example'])).toMatchObject({ named: true, first: false });
    expect(follow('https://cdn.example:8443/x', ['CDN.example:8443'])).toMatchObject({ named: true, first: false });
    expect(() => follow('https://cdn.example:8443/x', ['cdn.example'])).toThrow('another host');
    expect(follow('https://a.b.cdn.example/x', ['*.cdn.example'])).toMatchObject({ named: false, first: false });
    expect(() => follow('https://cdn.example/x', ['*.cdn.example'])).toThrow('another host');
    expect(() => follow('https://evilcdn.example/x', ['*.cdn.example'])).toThrow('another host');
    expect(() => follow('https://anything.example/x', ['*'])).toThrow('another host');
  });

  it('is no private address, unless that was named', async () => {
    const named = follow('https://10.0.0.1/x', ['10.0.0.1']);
    await expect(refusePrivateAddress(named)).resolves.toBeUndefined();
    await expect(refusePrivateAddress({ ...named, named: false })).rejects.toThrow('an address of a private network');
    const six = new URL('https://[::ffff:10.0.0.1]/');
    await expect(refusePrivateAddress({ url: six, named: false, first: false })).rejects.toThrow('private network');
  });

  it('keeps to loopback without encryption only where it began there', () => {
    expect(namedDestination(new URL('http://localhost:8080/x'), {})).toMatchObject({ named: true, first: true });
    expect(() => namedDestination(new URL('http://localhost.evil/x'), {})).toThrow('without encryption');
    expect(() => namedDestination(new URL('http://1270.0.0.1.evil/x'), {})).toThrow('without encryption');
    expect(namedDestination(new URL('http://far.example/x'), { allowInsecure: true })).toMatchObject({ named: true });
  });
});
