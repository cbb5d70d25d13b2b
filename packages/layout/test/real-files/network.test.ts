import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { Random } from '../../../../tests/support/random.js';
import { requireJudge, type Judge } from '../../../../tests/support/judge.js';
import {
  array,
  arrayUntil,
  bitStruct,
  bytes,
  bytesOf,
  checksum,
  codec,
  int,
  integral,
  s390x,
  sized,
  struct,
  textOf,
  u16,
  u32,
  u8,
  uint,
  variant,
  type Type,
} from '../../src/index.js';

const TCPDUMP: Judge = { program: 'tcpdump', probe: ['--version'], package: 'tcpdump' };
const PYTHON: Judge = { program: 'python3', probe: ['--version'], package: 'python3' };

const directory = mkdtempSync(join(tmpdir(), 'instar-network-'));
afterAll(() => {
  rmSync(directory, { recursive: true });
});

// draft-ietf-opsawg-pcap; in the byte order of whoever wrote it.
const Pcap = struct('Pcap', {
  magic: { type: u32, value: 0xa1b2_c3d4 },
  major: u16,
  minor: u16,
  zone: u32,
  accuracy: u32,
  longest: u32,
  link: u32,
  packets: array(
    struct('Packet', { seconds: u32, fraction: u32, length: u32, original: u32, data: bytesOf('length') }),
  ),
});

// RFC 1035, 4.1; a name that a pointer cuts short ends with it.
const Label = struct('Label', {
  head: integral('LabelHead', u8, { kind: uint(2), low: uint(6) }),
  body: variant('body', 'head.kind', {
    word: [0, textOf('head.low', { encoding: 'ascii' })],
    pointer: [3, u8],
  }),
});
const Name = arrayUntil(Label, ({ head }) => head.kind === 3 || head.low === 0);
const Dns = struct('Dns', {
  id: u16,
  flags: u16,
  questions: u16,
  answers: u16,
  authorities: u16,
  additional: u16,
  question: array(struct('Question', { name: Name, type: u16, class: u16 }), 'questions'),
  answer: array(
    struct('Answer', {
      name: Name,
      type: u16,
      class: u16,
      ttl: u32,
      length: u16,
      data: sized(
        'length',
        variant('data', 'type', { address: [1, bytes(4)], alias: [5, Name], other: ['otherwise', bytesOf()] }),
      ),
    }),
    'answers',
  ),
});
// RFC 791, 3.1 and RFC 768, in Ethernet.
const Frame = struct('Frame', {
  to: bytes(6),
  from: bytes(6),
  ether_type: { type: u16, value: 0x0800 },
  version: integral('Version', u8, { version: uint(4), words: uint(4) }),
  service: u8,
  total: u16,
  id: u16,
  fragment: u16,
  lifetime: u8,
  protocol: { type: u8, value: 17 },
  header_sum: checksum(u16, 'internet', 'version', 'destination'),
  source: bytes(4),
  destination: bytes(4),
  source_port: u16,
  destination_port: u16,
  udp_length: u16,
  udp_sum: u16,
  dns: Dns,
});

const word = (text: string): unknown => ({ head: { kind: 0, low: text.length }, body: { arm: 'word', value: text } });
const pointer = (at: number): unknown => ({ head: { kind: 3, low: 0 }, body: { arm: 'pointer', value: at } });

/** A frame with an answer: the name asked for is an alias, and names lead back to earlier ones. */
function frame(): Uint8Array {
  const made = codec(Frame, s390x);
  const plain = {
    to: Uint8Array.of(2, 0, 0, 0, 0, 1),
    from: Uint8Array.of(2, 0, 0, 0, 0, 2),
    version: { version: 4, words: 5 },
    lifetime: 64,
    source: Uint8Array.of(192, 0, 2, 53),
    destination: Uint8Array.of(192, 0, 2, 1),
    source_port: 53,
    destination_port: 40_000,
    dns: {
      id: 4711,
      flags: 0x8180,
      question: [{ name: [word('www'), word('example'), word('org'), word('')], type: 1, class: 1 }],
      answer: [
        {
          name: [pointer(12)],
          class: 1,
          ttl: 60,
          data: { arm: 'alias', value: [word('host'), pointer(16)] },
        },
        { name: [word('host'), pointer(16)], class: 1, ttl: 60, data: { arm: 'address', value: bytesOfAddress } },
      ],
    },
  };
  const size = made.encode(plain as never).length;
  return made.encode({ ...plain, total: size - 14, udp_length: size - 34 } as never);
}
const bytesOfAddress = Uint8Array.of(203, 0, 113, 9);

/** What tcpdump says of a file. */
function tcpdump(...words: string[]): string {
  return execFileSync('tcpdump', ['-n', ...words], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
}

describe('files of tcpdump', () => {
  it('come back byte for byte, and what was written for it is read as it was meant', (context) => {
    requireJudge(context, TCPDUMP);
    const [given, stored] = [join(directory, 'given.pcap'), join(directory, 'stored.pcap')];
    const packet = { seconds: 1_700_000_000, data: frame(), original: frame().length };
    const header = { major: 2, minor: 4, longest: 65_535, link: 1 };
    // In the other byte order than tcpdump writes on this machine.
    writeFileSync(given, codec(Pcap, s390x).encode({ ...header, packets: [packet, { ...packet, fraction: 5 }] }));
    execFileSync('tcpdump', ['-r', given, '-w', stored], { stdio: 'ignore' });

    const file = readFileSync(stored);
    const [pcap, frames] = [codec(Pcap), codec(Frame, s390x)];
    for (let turn = 0; turn < 4; turn += 1) {
      const value = pcap.decode(file);
      expect(Buffer.from(pcap.encode(value)).equals(file)).toBe(true);
      for (const { data } of value.packets) expect([...frames.encode(frames.decode(data))]).toEqual([...data]);
    }
    const value = pcap.decode(file);
    expect(value.packets.map(({ seconds, fraction }) => [seconds, fraction])).toEqual([
      [1_700_000_000, 0],
      [1_700_000_000, 5],
    ]);

    const said = tcpdump('-vvv', '-r', stored);
    expect(said).not.toContain('bad cksum');
    expect(said).toMatch(/4711 q: A\? www\.example\.org\. 2\/0\/0 /);
    expect(said).toContain('www.example.org. [1m] CNAME host.example.org., host.example.org. [1m] A 203.0.113.9');
    const [first] = value.packets;
    const broken = Uint8Array.from(first?.data ?? []);
    broken[25] = (broken[25] ?? 0) ^ 1;
    writeFileSync(given, pcap.encode({ ...value, packets: [{ ...first, data: broken }] }));
    expect(tcpdump('-vvv', '-r', given)).toContain('bad cksum');
    expect(() => frames.decode(broken)).toThrow(expect.objectContaining({ path: 'Frame.header_sum' }));
  });
});

describe('a table of CAN signals', () => {
  // Name, first bit, width, sign: as a DBC file has them for Intel's order, where bit 0 is the lowest of byte 0.
  const SIGNALS = [
    ['engine_speed', 0, 16, false],
    ['gear', 16, 3, false],
    ['brake', 19, 1, false],
    ['angle', 20, 13, true],
    ['rate', 33, 11, true],
    ['counter', 44, 4, false],
    ['distance', 48, 16, false],
  ] as const;

  it('is read and written as Python cuts the same integers', (context) => {
    requireJudge(context, PYTHON);
    const fields = Object.fromEntries(
      SIGNALS.map(([name, , width, isSigned]): [string, Type<number>] => [
        name,
        (isSigned ? int(width) : uint(width)) as Type<number>,
      ]),
    );
    const frames = codec(bitStruct('Frame', fields, { order: 'lsb', size: 8 }));
    const random = new Random(4);
    const messages = Array.from({ length: 200 }, () => random.bytes(8));
    const program = `import sys,json
signals=json.loads(sys.argv[1])
out=[]
for line in sys.stdin.read().split():
  n=int.from_bytes(bytes.fromhex(line),'little')
  row=[]
  for name,at,width,signed in signals:
    v=(n>>at)&((1<<width)-1)
    row.append(v-(1<<width) if signed and v>>(width-1) else v)
  out.append(row)
print(json.dumps(out))`;
    const input = messages.map((message) => message.toString('hex')).join('\n');
    const said = execFileSync('python3', ['-c', program, JSON.stringify(SIGNALS)], { input, encoding: 'utf8' });
    expect(messages.map((message) => Object.values(frames.decode(message)))).toEqual(JSON.parse(said));
    for (const message of messages) {
      expect(Buffer.from(frames.encode(frames.decode(message))).equals(message)).toBe(true);
    }
  });
});
