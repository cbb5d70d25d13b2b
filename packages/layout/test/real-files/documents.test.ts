import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateRawSync, inflateRawSync, inflateSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import { requireJudge, type Judge } from '../../../../tests/support/judge.js';
import {
  array,
  arrayUntil,
  bytesOf,
  checksum,
  codec,
  integral,
  magic,
  s390x,
  sized,
  struct,
  text,
  textOf,
  u16,
  u32,
  u8,
  uint,
  variant,
  type Type,
} from '../../src/index.js';

const CHROMIUM: Judge = { program: 'chromium', probe: ['--version'], package: 'chromium' };
const ZIP: Judge = { program: 'zip', probe: ['-v'], package: 'zip' };
const UNZIP: Judge = { program: 'unzip', probe: ['-v'], package: 'unzip' };
const OPENSSL: Judge = { program: 'openssl', probe: ['version'], package: 'openssl' };
const FILE: Judge = { program: 'file', probe: ['--version'], package: 'file' };

const directory = mkdtempSync(join(tmpdir(), 'instar-documents-'));
afterAll(() => {
  rmSync(directory, { recursive: true });
});

// PNG, third edition, 5.3 and 11.2.
describe('a picture that Chromium made', () => {
  const Png = struct('Png', {
    signature: magic(Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10)),
    header_length: { type: u32, value: 13 },
    header_kind: magic(Buffer.from('IHDR')),
    width: u32,
    height: u32,
    depth: u8,
    colour: u8,
    packing: u8,
    filter: u8,
    interlace: u8,
    header_crc: checksum(u32, 'crc32', 'header_kind', 'interlace'),
    chunks: arrayUntil(
      struct('Chunk', {
        length: u32,
        kind: text(4, { encoding: 'ascii' }),
        data: bytesOf('length'),
        crc: checksum(u32, 'crc32', 'kind', 'data'),
      }),
      ({ kind }) => kind === 'IEND',
    ),
  });

  it('comes back byte for byte, and with more in it is still one', { timeout: 90_000 }, (context) => {
    requireJudge(context, CHROMIUM);
    requireJudge(context, FILE);
    const picture = join(directory, 'picture.png');
    const page = 'data:text/html,<body bgcolor=teal>text</body>';
    const switches = ['--headless=new', '--no-sandbox', '--disable-gpu', '--hide-scrollbars'];
    const profile = `--user-data-dir=${join(directory, 'profile')}`;
    execFileSync('chromium', [...switches, profile, '--window-size=500,300', `--screenshot=${picture}`, page], {
      stdio: 'ignore',
      timeout: 60_000,
    });
    const stored = readFileSync(picture);
    const png = codec(Png, s390x);
    for (let turn = 0; turn < 4; turn += 1) {
      expect(Buffer.from(png.encode(png.decode(stored))).equals(stored)).toBe(true);
    }
    const value = png.decode(stored);
    const said = execFileSync('file', ['-b', picture], { encoding: 'utf8' });
    expect(said).toContain(`PNG image data, ${value.width} x ${value.height}, ${value.depth}-bit`);
    const data = value.chunks.filter(({ kind }) => kind === 'IDAT').map((chunk) => chunk.data);
    const channels = { 2: 3, 6: 4 }[value.colour] ?? 0;
    expect(inflateSync(Buffer.concat(data)).length).toBe(value.height * (1 + value.width * channels));

    const comment = { kind: 'tEXt', data: Buffer.from('Comment\0made longer') };
    const bare = value.chunks.map((chunk) => ({ kind: chunk.kind, data: chunk.data }));
    writeFileSync(picture, png.encode({ ...value, chunks: [comment, ...bare] }));
    const page2 = `<img src="picture.png" onload="document.title=''"><script>
      addEventListener('load', () => { const { naturalWidth: w, naturalHeight: h } = document.images[0];
      document.body.textContent = w + ' x ' + h; });</script>`;
    writeFileSync(join(directory, 'page.html'), page2);
    const dom = execFileSync('chromium', [...switches, profile, '--dump-dom', `file://${directory}/page.html`], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: 60_000,
    });
    expect(dom).toContain(`${value.width} x ${value.height}`);
  });
});

// APPNOTE 6.3.10, 4.3: an archive that was written to where nothing can be changed afterwards, so that sums and sizes stand
// behind the data. Where those end, only the directory says.
const Descriptor = struct('Descriptor', {
  signature: { type: u32, value: 0x0807_4b50 },
  crc: u32,
  packed: u32,
  size: u32,
});
const times = { version: u16, flags: u16, method: u16, time: u16, date: u16, crc: u32, packed: u32, size: u32 };
const LocalOf = (packed: number) =>
  struct('Local', {
    signature: { type: u32, value: 0x0403_4b50 },
    ...times,
    name_length: u16,
    extra_length: u16,
    name: textOf('name_length'),
    extra: bytesOf('extra_length'),
    data: bytesOf(packed),
    descriptor: Descriptor,
  });
const Central = struct('Central', {
  signature: { type: u32, value: 0x0201_4b50 },
  made: u16,
  ...times,
  name_length: u16,
  extra_length: u16,
  comment_length: u16,
  disk: u16,
  inner: u16,
  outer: u16,
  outer_high: u16,
  place: u32,
  name: textOf('name_length'),
  extra: bytesOf('extra_length'),
  comment: bytesOf('comment_length'),
});
const End = struct('End', {
  signature: { type: u32, value: 0x0605_4b50 },
  disk: u16,
  start: u16,
  here: u16,
  all: u16,
  size: u32,
  place: u32,
  comment_length: u16,
  comment: textOf('comment_length'),
});

describe('an archive that zip wrote into a pipe', () => {
  it('comes back byte for byte, and unzip takes one with other data', (context) => {
    requireJudge(context, ZIP);
    requireJudge(context, UNZIP);
    writeFileSync(join(directory, 'long.txt'), 'line of text\n'.repeat(3000));
    writeFileSync(
      join(directory, 'short.bin'),
      Uint8Array.from({ length: 300 }, (_, index) => index * 7),
    );
    const stored = execFileSync('sh', ['-c', 'zip -q -fd - long.txt short.bin | cat'], { cwd: directory });
    const end = codec(End).decode(stored, stored.length - 22);
    const entries = codec(Central).decodeArray(stored, end.place, end.all);
    const Zip = struct('Zip', {
      first: LocalOf(entries[0]?.packed ?? 0),
      second: LocalOf(entries[1]?.packed ?? 0),
      directory: array(Central, 2),
      end: End,
    });
    const zip = codec(Zip);
    for (let turn = 0; turn < 4; turn += 1) {
      expect(Buffer.from(zip.encode(zip.decode(stored))).equals(stored)).toBe(true);
    }
    const value = zip.decode(stored);
    for (const [local, entry] of [
      [value.first, entries[0]],
      [value.second, entries[1]],
    ] as const) {
      expect(local.flags & 8).toBe(8);
      const { crc, packed, size } = local.descriptor;
      expect({ crc, packed, size }).toEqual({ crc: entry?.crc, packed: entry?.packed, size: entry?.size });
      expect(local.packed).toBe(0);
    }
    expect(inflateRawSync(value.first.data).toString()).toBe('line of text\n'.repeat(3000));

    // The same text, packed by another program.
    const data = deflateRawSync(inflateRawSync(value.first.data), { level: 1 });
    const moved = data.length - value.first.data.length;
    const Changed = struct('Zip', {
      first: LocalOf(data.length),
      second: Zip.fields[1]?.type as never,
      directory: array(Central, 2),
      end: End,
    });
    const file = join(directory, 'changed.zip');
    const [one, two] = value.directory;
    writeFileSync(
      file,
      codec(Changed).encode({
        ...value,
        first: { ...value.first, data, descriptor: { ...value.first.descriptor, packed: data.length } },
        directory: [
          { ...one, packed: data.length },
          { ...two, place: (two?.place ?? 0) + moved },
        ],
        end: { ...value.end, place: value.end.place + moved },
      }),
    );
    expect(execFileSync('unzip', ['-t', file], { encoding: 'utf8' })).toContain('No errors detected');
  });
});

// X.690, 8.1. Lengths of 1 to 3 bytes; what is constructed has values inside, so many levels of them.
function derOf(depth: number): Type<Der> {
  const Content: Type = variant('content', 'tag.constructed', {
    primitive: [0, bytesOf()],
    constructed: [1, depth === 0 ? bytesOf() : array(derOf(depth - 1))],
  });
  return struct('Der', {
    tag: integral('Tag', u8, { class: uint(2), constructed: uint(1), number: uint(5) }),
    form: u8,
    rest: variant('rest', 'form', {
      one: [0x81, struct('One', { length: u8, content: sized('length', Content) })],
      two: [0x82, struct('Two', { length: u16, content: sized('length', Content) })],
      short: ['otherwise', struct('Short', { content: sized('form', Content) })],
    }),
  }) as unknown as Type<Der>;
}
interface Der {
  readonly tag: { readonly class: number; readonly constructed: number; readonly number: number };
  readonly form: number;
  readonly rest: {
    readonly arm: 'one' | 'two' | 'short';
    readonly value: { readonly content: { readonly value: Uint8Array | readonly Der[] } };
  };
}
const HEADERS = { short: 2, one: 3, two: 4 };
const sizeOf = ({ rest }: Der): number => HEADERS[rest.arm] + contentSize(rest.value.content.value);
const contentSize = (content: Uint8Array | readonly Der[]): number =>
  content instanceof Uint8Array ? content.length : content.reduce((sum, item) => sum + sizeOf(item), 0);

/** What `openssl asn1parse` prints of each value: depth, bytes of the header, length, whether it is constructed. */
function rows(value: Der, depth = 0): string[] {
  const content = value.rest.value.content.value;
  const own = `${depth},${HEADERS[value.rest.arm]},${contentSize(content)},${value.tag.constructed === 1 ? 'cons' : 'prim'}`;
  return [own, ...(content instanceof Uint8Array ? [] : content.flatMap((item) => rows(item, depth + 1)))];
}

describe('a certificate that OpenSSL made', () => {
  it('comes back byte for byte, and is in parts what OpenSSL says', (context) => {
    requireJudge(context, OPENSSL);
    const [key, file] = [join(directory, 'key'), join(directory, 'certificate')];
    const words = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-subj', '/CN=example/O=ß'];
    execFileSync('openssl', [...words, '-utf8', '-outform', 'DER', '-out', file], { stdio: 'ignore' });
    const stored = readFileSync(file);
    const der = codec(derOf(8), s390x);
    const value = der.decode(stored);
    for (let turn = 0; turn < 4; turn += 1) {
      expect(Buffer.from(der.encode(der.decode(stored))).equals(stored)).toBe(true);
    }
    const said = execFileSync('openssl', ['asn1parse', '-inform', 'DER', '-in', file], { encoding: 'utf8' });
    const seen = [...said.matchAll(/d=(\d+) +hl=(\d+) +l= *(\d+) (cons|prim)/g)].map((row) => row.slice(1).join());
    expect(seen.length).toBeGreaterThan(40);
    expect(rows(value)).toEqual(seen);

    // A value that was made: lengths and forms follow from what is inside.
    const leaf = (number: number, content: Uint8Array): unknown => ({
      tag: { class: 0, constructed: 0, number },
      ...(content.length < 128
        ? { form: content.length, rest: { arm: 'short', value: { content: { arm: 'primitive', value: content } } } }
        : { rest: { arm: 'one', value: { content: { arm: 'primitive', value: content } } } }),
    });
    const inner = [leaf(12, Buffer.from('a word')), leaf(4, new Uint8Array(200)), leaf(2, Uint8Array.of(5))];
    const made = der.encode({
      tag: { class: 0, constructed: 1, number: 16 },
      rest: { arm: 'one', value: { content: { arm: 'constructed', value: inner } } },
    } as never);
    const shown = execFileSync('openssl', ['asn1parse', '-inform', 'DER'], { input: made, encoding: 'utf8' });
    expect(shown).toMatch(/SEQUENCE *\n.*UTF8STRING +:a word\n.*l= 200 prim: +OCTET STRING .*\n.*INTEGER +:05\n$/);
  });
});
