import { BZIP2, CHROMIUM, fields, GCC, GZIP, PYTHON, TCPDUMP, ZIP, type Format } from './gallery.js';

const python = (...lines: readonly string[]): string => `python3 -W ignore -c '${lines.join('\n')}'`;

/** RFC 1952. */
const gzip: Format = {
  name: 'gzip_file',
  endian: 'le',
  seq: [
    { id: 'magic', contents: [0x1f, 0x8b] },
    ...fields('method:u1 flags:u1 mtime:u4 extra_flags:u1 system:u1'),
    { id: 'file_name', type: 'strz', if: 'flags & 8 != 0' },
    { id: 'comment', type: 'strz', if: 'flags & 16 != 0' },
    ...fields('rest:*'),
  ],
  maker: GZIP,
  make: 'printf hello > made.txt; gzip made.txt; mv made.txt.gz made',
  known: { method: 8, flags: 8, file_name: 'made.txt' },
  whole: true,
};

/** The manual of bzip2: a level as a digit, then blocks that begin with the digits of pi. */
const bzip2: Format = {
  name: 'bzip2_file',
  endian: 'be',
  seq: [
    { id: 'magic', contents: 'BZh' },
    ...fields('level:str1'),
    { id: 'block_magic', contents: [0x31, 0x41, 0x59, 0x26, 0x53, 0x59] },
    ...fields('block_crc:u4 randomised:b1 origin:b24 used:b7 rest:*'),
  ],
  maker: BZIP2,
  make: 'printf hello | bzip2 -6 > made',
  known: { level: '6', randomised: 0 },
  whole: true,
};

/** APPNOTE.TXT, 4.3: sections by their signatures. */
const zip: Format = {
  name: 'zip_file',
  endian: 'le',
  seq: [{ id: 'sections', type: 'section', repeat: 'eos' }],
  types: {
    section: {
      seq: [
        { id: 'magic', contents: 'PK' },
        { id: 'kind', type: 'u2', enum: 'kind' },
        {
          id: 'body',
          type: {
            'switch-on': 'kind',
            cases: { 'kind::local': 'local', 'kind::central': 'central', 'kind::finish': 'finish' },
          },
        },
      ],
    },
    local: {
      seq: [
        ...fields(
          'version:u2 flags:u2 method:u2 time:u2 date:u2 crc:u4 len_packed:u4 len_plain:u4 len_name:u2 len_extra:u2',
        ),
        { id: 'name', type: 'str', size: 'len_name' },
        { id: 'extra', size: 'len_extra' },
        { id: 'data', size: 'len_packed' },
      ],
    },
    central: {
      seq: [
        ...fields(
          'made_by:u2 version:u2 flags:u2 method:u2 time:u2 date:u2 crc:u4 len_packed:u4 len_plain:u4 len_name:u2',
        ),
        ...fields('len_extra:u2 len_comment:u2 disk:u2 internal:u2 external:u4 ofs_local:u4'),
        { id: 'name', type: 'str', size: 'len_name' },
        { id: 'extra', size: 'len_extra' },
        { id: 'comment', type: 'str', size: 'len_comment' },
      ],
    },
    finish: {
      seq: [
        ...fields('disk:u2 central_disk:u2 num_here:u2 num_all:u2 len_central:u4 ofs_central:u4 len_comment:u2'),
        { id: 'comment', type: 'str', size: 'len_comment' },
      ],
    },
  },
  enums: { kind: { 0x0403: 'local', 0x0201: 'central', 0x0605: 'finish' } },
  maker: ZIP,
  make: 'printf one > one; seq 100 > two; zip -q made.zip one two; mv made.zip made',
  known: { 'sections.0.body.value.name': 'one', 'sections.4.body.value.num_all': 2 },
  whole: true,
};

/** Microsoft and IBM, Multimedia Programming Interface 1.0: chunks of RIFF. */
const wav: Format = {
  name: 'wav_file',
  endian: 'le',
  seq: [
    { id: 'magic', contents: 'RIFF' },
    ...fields('len_file:u4'),
    { id: 'form', contents: 'WAVE' },
    { id: 'chunks', type: 'chunk', repeat: 'eos' },
  ],
  types: {
    chunk: {
      seq: [
        ...fields('kind:u4be len:u4'),
        { id: 'body', size: 'len', type: { 'switch-on': 'kind', cases: { 0x666d7420: 'format' } } },
      ],
    },
    format: { seq: fields('code:u2 channels:u2 rate:u4 bytes_per_second:u4 block:u2 bits:u2') },
  },
  maker: PYTHON,
  make: python(
    'import wave',
    'w = wave.open("made", "wb"); w.setnchannels(2); w.setsampwidth(2); w.setframerate(8000)',
    'w.writeframes(bytes(range(64))); w.close()',
  ),
  known: { 'chunks.0.body.value.channels': 2, 'chunks.0.body.value.rate': 8000, 'chunks.1.len': 64 },
  whole: true,
};

/** Sun's audio files, as the manual page audio.h of SunOS has them. */
const au: Format = {
  name: 'au_file',
  endian: 'be',
  seq: [{ id: 'magic', contents: '.snd' }, ...fields('ofs_data:u4 len_data:u4 encoding:u4 rate:u4 channels:u4')],
  instances: { data: { pos: 'ofs_data', size: 'len_data' } },
  maker: PYTHON,
  make: python(
    'import sunau',
    'w = sunau.open("made", "wb"); w.setnchannels(1); w.setsampwidth(2); w.setframerate(16000); w.setcomptype("NONE", "")',
    'w.writeframes(bytes(range(32))); w.close()',
  ),
  known: { rate: 16000, channels: 1, len_data: 32, encoding: 3 },
  whole: true,
};

/** Apple's AIFF-C, of even chunks alone. */
const aiff: Format = {
  name: 'aiff_file',
  endian: 'be',
  seq: [
    { id: 'magic', contents: 'FORM' },
    ...fields('len_file:u4 form:str4'),
    { id: 'chunks', type: 'chunk', repeat: 'eos' },
  ],
  types: {
    chunk: {
      seq: [
        ...fields('kind:u4 len:u4'),
        {
          id: 'body',
          size: 'len',
          type: { 'switch-on': 'kind', cases: { 0x434f4d4d: 'common', 0x53534e44: 'sound' } },
        },
      ],
    },
    common: { seq: fields('channels:u2 frames:u4 bits:u2 rate:10') },
    sound: { seq: fields('skipped:u4 block:u4 data:*') },
  },
  maker: PYTHON,
  make: python(
    'import aifc',
    'w = aifc.open("made", "wb"); w.aiff(); w.setnchannels(1); w.setsampwidth(2); w.setframerate(8000)',
    'w.writeframes(bytes(range(32))); w.close()',
  ),
  known: { form: 'AIFF', 'chunks.0.body.value.frames': 16, 'chunks.0.body.value.bits': 16 },
  whole: true,
};

/** CPython 3.7 and newer, PEP 552. */
const pyc: Format = {
  name: 'python_pyc',
  endian: 'le',
  seq: [
    ...fields('version:u2'),
    { id: 'line', contents: [13, 10] },
    ...fields('flags:u4 mtime:u4 len_source:u4 code:*'),
  ],
  maker: PYTHON,
  make: `printf 'x = 1\\n' > one.py; ${python('import py_compile', 'py_compile.compile("one.py", cfile="made")')}`,
  known: { flags: 0, len_source: 6 },
  whole: true,
};

/** The file format of SQLite, 1.3. */
const sqlite: Format = {
  name: 'sqlite3_header',
  endian: 'be',
  seq: [
    { id: 'magic', contents: ['SQLite format 3', 0] },
    ...fields(
      'page_size:u2 write_version:u1 read_version:u1 reserved:u1 most:u1 least:u1 leaf:u1 changes:u4 num_pages:u4',
    ),
    ...fields('first_free:u4 num_free:u4 schema_cookie:u4 schema_format:u4 cache:u4 largest_root:u4 encoding:u4'),
    ...fields('user_version:u4 vacuum:u4 application:u4 zeros:20 valid_for:u4 library:u4 rest:*'),
  ],
  maker: PYTHON,
  make: python(
    'import sqlite3',
    'd = sqlite3.connect("made"); d.execute("pragma page_size=1024"); d.execute("pragma user_version=77")',
    'd.execute("create table t (a)"); d.commit(); d.close()',
  ),
  known: { page_size: 1024, user_version: 77, encoding: 1 },
  whole: true,
};

/** libpcap, pcap-savefile(5). */
const pcap: Format = {
  name: 'pcap_file',
  endian: 'le',
  seq: [
    ...fields('magic:u4 major:u2 minor:u2 zone:s4 accuracy:u4 snap_length:u4 link:u4'),
    { id: 'packets', type: 'packet', repeat: 'eos' },
  ],
  types: {
    packet: { seq: [...fields('seconds:u4 fraction:u4 len:u4 len_sent:u4'), { id: 'data', size: 'len' }] },
  },
  maker: TCPDUMP,
  make: [
    python(
      'import struct',
      'head = struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1)',
      'rows = b"".join(struct.pack("<IIII", s, 5, 60, 60) + bytes([s] * 60) for s in (1, 2))',
      'open("in", "wb").write(head + rows)',
    ),
    'tcpdump -r in -w made 2>&1',
  ].join('; '),
  known: { major: 2, minor: 4, link: 1, 'packets.1.seconds': 2, 'packets.1.len': 60 },
  whole: true,
};

/** System V ABI, chapter 4: of a little-endian file of 64 bits. */
const elf: Format = {
  name: 'elf64_le',
  endian: 'le',
  seq: [
    { id: 'magic', contents: [0x7f, 'ELF', 2, 1] },
    ...fields('version:u1 abi:u1 abi_version:u1 zeros:7 kind:u2 machine:u2 file_version:u4 entry:u8 ofs_programs:u8'),
    ...fields(
      'ofs_sections:u8 flags:u4 len_header:u2 len_program:u2 num_programs:u2 len_section:u2 num_sections:u2 names:u2',
    ),
  ],
  types: {
    program: { seq: fields('kind:u4 flags:u4 offset:u8 address:u8 physical:u8 file_size:u8 memory_size:u8 align:u8') },
    section: { seq: fields('name:u4 kind:u4 flags:u8 address:u8 offset:u8 size:u8 link:u4 info:u4 align:u8 entry:u8') },
  },
  instances: {
    programs: { pos: 'ofs_programs', type: 'program', repeat: 'expr', 'repeat-expr': 'num_programs' },
    sections: { pos: 'ofs_sections', type: 'section', repeat: 'expr', 'repeat-expr': 'num_sections' },
  },
  maker: GCC,
  make: `printf 'int main(void) { return 0; }' > one.c; gcc -o made one.c`,
  known: { machine: 62, len_program: 56, len_section: 64 },
  whole: false,
};

/** term(5): names, booleans, numbers and strings of a terminal. */
const terminfo: Format = {
  name: 'terminfo_entry',
  endian: 'le',
  seq: [
    { id: 'magic', contents: [0x1a, 0x01] },
    ...fields('len_names:u2 num_booleans:u2 num_numbers:u2 num_strings:u2 len_table:u2'),
    { id: 'names', type: 'str', size: 'len_names' },
    { id: 'booleans', type: 's1', repeat: 'expr', 'repeat-expr': 'num_booleans' },
    { id: 'padding', type: 'u1', if: '(len_names + num_booleans) % 2 == 1' },
    { id: 'numbers', type: 's2', repeat: 'expr', 'repeat-expr': 'num_numbers' },
    { id: 'strings', type: 's2', repeat: 'expr', 'repeat-expr': 'num_strings' },
    { id: 'table', size: 'len_table' },
    ...fields('extended:*'),
  ],
  maker: { program: 'infocmp', probe: ['-V'], package: 'ncurses-bin' },
  make: 'infocmp vt100 > vt100.src; tic -o . vt100.src 2>&1; cp v/vt100 made',
  known: { 'numbers.0': 80 },
  whole: true,
};

/** PNG, third edition, 5.3 and 11.2. */
const png: Format = {
  name: 'png_file',
  endian: 'be',
  seq: [
    { id: 'magic', contents: [0x89, 'PNG', 13, 10, 26, 10] },
    { id: 'header_length', type: 'u4', valid: 13 },
    { id: 'header_kind', contents: 'IHDR' },
    { id: 'header', type: 'header' },
    { id: 'header_crc', type: 'u4' },
    { id: 'chunks', type: 'chunk', repeat: 'eos' },
  ],
  types: {
    header: {
      seq: [
        { id: 'width', type: 'u4', valid: { min: 1, max: 0x7fff_ffff } },
        { id: 'height', type: 'u4', valid: { min: 1, max: 0x7fff_ffff } },
        { id: 'depth', type: 'u1', valid: { max: 16 } },
        ...fields('colour:u1 packing:u1 filter:u1'),
        { id: 'interlace', type: 'u1', valid: { max: 1 } },
      ],
    },
    chunk: { seq: [...fields('length:u4 kind:str4'), { id: 'body', size: 'length' }, ...fields('crc:u4')] },
  },
  maker: CHROMIUM,
  make: [
    'chromium --headless=new --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$PWD/profile"',
    '--window-size=200,100 --screenshot="$PWD/made.png" data:text/html,x 2>/dev/null; mv made.png made',
  ].join(' '),
  known: { 'header.width': 200, 'header.depth': 8, 'header.interlace': 0 },
  whole: true,
};

export const FILES: readonly Format[] = [png, gzip, bzip2, zip, wav, au, aiff, pyc, sqlite, pcap, elf, terminfo];
