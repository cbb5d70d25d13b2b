import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { instar } from '../support/command.js';
import { requireJudge, type Judge } from '../support/judge.js';
import { workdir } from '../support/workdir.js';

const GCC: Judge = { program: 'gcc', probe: ['--version'], package: 'gcc' };

const HEADER = `
struct regs { unsigned char dst:4; unsigned char src:4; };
struct node { char kind; long size; struct regs r[3]; };
enum colour { RED, GREEN = 7 };
`;

/** Legal, but nothing that a dump could show. */
const LARGE = {
  structs: [
    { name: 'Bytes', fields: [{ name: 'a', type: { bytes: 2 ** 32 } }] },
    { name: 'None', fields: [] },
    { name: 'Nothing', fields: [{ name: 'a', type: { array: { struct: 'None' }, count: 2 ** 40 } }] },
  ],
};

describe('instar abi show', () => {
  it('lists regions and types, and draws a type', () => {
    const listed = instar('abi', 'show').in(workdir()).must();
    expect(listed.stdout).toMatch(/^ABI 1\.\d+\nfingerprint [0-9a-f]{64}\n/);
    expect(listed.stdout).toMatch(/^ +0x81000 +0x1000 {2}r +operation_config$/m);
    expect(listed.stdout).toMatch(/^ {2}ConvertConfig +416 {2}Config of the convert operation\.$/m);
    const drawn = instar('abi', 'show', 'ProcessRecord').in(workdir()).must().stdout.split('\n');
    expect(drawn[0]).toMatch(/^ProcessRecord \(\d+ bytes, alignment 8\)$/);
    expect(drawn[4]).toMatch(/^0x000 \| fault_code: u32 +\| pad: u32 +\|$/);
  });
});

describe('instar abi emit', () => {
  it.each([
    ['c', /_Static_assert\(offsetof\(Completion, status\) == 8/],
    ['rust', /offset_of!\(Completion, status\) == 8/],
    ['poke', /type Completion =\n {2}struct\n\{/],
    ['json', /"name": "Completion",\n {8}"size": 16/],
    ['markdown', /^\| 8 \| i32 \| status \|/m],
    ['svg', /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg"/],
    ['ascii', /^Completion \(16 bytes, alignment 8\)$/m],
  ])('writes %s', (language, expected) => {
    const ended = instar('abi', 'emit', '--to', language, 'Completion').in(workdir()).must();
    expect(ended.stdout).toMatch(expected);
    expect(ended.stdout).not.toContain('ConvertConfig');
    expect(ended.stderr).toBe('');
  });

  it('writes what compiles', (context) => {
    requireJudge(context, GCC);
    const directory = workdir();
    directory.write('abi.h', instar('abi', 'emit', '--to', 'c').in(directory).must().stdout);
    const compile = instar('abi', 'extract', 'abi.h', 'ConvertConfig', '--json').in(directory).must();
    expect(JSON.parse(compile.stdout)).toMatchObject({ types: [{ name: 'ConvertConfig', size: 416, align: 8 }] });
  });
});

describe('instar abi diff', () => {
  it('says that nothing changed', () => {
    expect(instar('abi', 'diff', '1.0', '1.0').in(workdir()).must().stdout).toBe('no difference\n');
  });

  it('says what changed in a file, and fails where that is more than allowed', () => {
    const directory = workdir();
    const abi = instar('abi', 'emit', '--to', 'json', 'Completion').in(directory).must().stdout;
    directory.write('old.json', abi);
    directory.write(
      'new.json',
      abi.replace('"type": "i32"', '"type": "i16"').replaceAll(/"(offset|size)": \d+,?\n\s*/g, ''),
    );
    const ended = instar('abi', 'diff', 'old.json', 'new.json', '--at-most', 'minor').in(directory).run();
    expect(ended.status).toBe(1);
    expect(ended.stdout).toMatch(/^major {2}narrowed {2}Completion\.status +from 32 to 16 bits$/m);
    expect(ended.stdout).toMatch(/\nmajor change\n$/);
    const json = instar('abi', 'diff', 'old.json', 'new.json', '--json').in(directory).must().stdout;
    expect(JSON.parse(json)).toMatchObject({ level: 'major' });
    // Somebody declares that nobody reads it.
    const words = ['abi', 'diff', 'old.json', 'new.json', '--at-most', 'minor', '--compatible'];
    const declared = instar(...words, 'Completion')
      .in(directory)
      .must().stdout;
    expect(declared).toMatch(/^minor {2}narrowed {2}Completion\.status +from 32 to 16 bits \(declared compatible\)$/m);
    expect(declared).toMatch(/\nminor change\n$/);
    const stale = instar(...words, 'Completion', '--compatible', 'Completion.tag')
      .in(directory)
      .run();
    expect([stale.status, stale.stdout]).toEqual([1, '']);
    expect(stale.stderr).toMatch(/^instar: abi: Completion\.tag.*no major change there/);
  });
});

describe('instar abi extract', () => {
  it('asks the compiler, for people, for programs and for --from', (context) => {
    requireJudge(context, GCC);
    const directory = workdir().write('h.h', HEADER);
    const text = instar('abi', 'extract', 'h.h', 'struct node', 'enum colour').in(directory).must().stdout;
    expect(text).toBe(
      'struct node on x86_64: 24 bytes, alignment 8\n' +
        '  0              char kind\n' +
        '  8              long size\n' +
        '  16             struct regs r[3]\n' +
        '\n' +
        'enum colour on x86_64: 4 bytes, alignment 4\n' +
        '  RED = 0\n' +
        '  GREEN = 7\n',
    );
    const json = instar('abi', 'extract', '--target', 'm32', '--json', 'h.h', 'struct regs')
      .in(directory)
      .must().stdout;
    expect(JSON.parse(json)).toMatchObject({
      target: 'i386',
      types: [
        {
          size: 1,
          align: 1,
          fields: [
            { name: 'dst', bitOffset: 0, bitWidth: 4, signed: false },
            { name: 'src', bitOffset: 4, bitWidth: 4, signed: false },
          ],
        },
      ],
    });
    directory.write(
      'layout.json',
      instar('abi', 'extract', '--layout', 'h.h', 'struct node').in(directory).must().stdout,
    );
    const emitted = instar('abi', 'emit', '--from', 'layout.json', '--to', 'c', 'node').in(directory).must().stdout;
    expect(emitted).toContain('_Static_assert(offsetof(node, r) == 16');
  });

  it('says what the compiler says of a bad header, and which type is unknown', (context) => {
    requireJudge(context, GCC);
    const directory = workdir().write('h.h', HEADER).write('bad.h', 'struct a { missing_t x; };');
    const unknown = instar('abi', 'extract', 'h.h', 'struct nothing').in(directory).run();
    expect([unknown.status, unknown.stdout]).toEqual([1, '']);
    expect(unknown.stderr).toMatch(/^instar: abi: struct nothing is unknown or has no size \([^\n]*\)\n$/);
    const bad = instar('abi', 'extract', 'bad.h', 'struct a').in(directory).run();
    expect(bad.status).toBe(1);
    expect(bad.stderr).toMatch(/^instar: abi: gcc: [^\n]*bad\.h:1:[^\n]*\n$/);
    const missing = instar('abi', 'extract', '--cc', 'no-such-cc', 'h.h', 'struct node').in(directory).run();
    expect(missing.status).toBe(1);
    expect(missing.stderr).toMatch(/^instar: abi: [^\n]*no-such-cc[^\n]*\n$/);
  });
});

describe('instar abi decode', () => {
  const bytes = Buffer.from('00000000000000000700000000000000f4ffffff01000000', 'hex');

  it('prints a hexdump beside the fields', () => {
    const directory = workdir().write('ring', bytes);
    expect(instar('abi', 'decode', 'Completion', 'ring@8').in(directory).must().stdout).toBe(
      'Completion at 8 of ring: 16 bytes, x86_64, little endian\n' +
        '0x0000  07 00 00 00 00 00 00 00  user_data      7\n' +
        '0x0008  f4 ff ff ff              status         -12\n' +
        '0x000c  01 00 00 00              source_failed  1\n',
    );
  });

  it('is JSON with --json, and takes another byte order', () => {
    const directory = workdir().write('ring', bytes);
    const ended = instar('abi', 'decode', 'Completion', 'ring@0x8', '--json', '--endian', 'big').in(directory).must();
    expect(JSON.parse(ended.stdout)).toMatchObject({
      type: 'Completion',
      offset: 8,
      endian: 'big',
      value: { status: -184549377, source_failed: 16777216 },
    });
  });

  it.each([
    [['Completion', 'ring@16'], /^instar: abi: ring: has 8 bytes at offset 16, Completion needs 16\n$/],
    [['Completion', 'nothing'], /^instar: abi: nothing: cannot be read \(ENOENT\)\n$/],
    [['Comp', 'ring'], /^instar: abi: found no type Comp; there is [^\n]*, Completion\n$/],
    [['ConvertConfig', 'zeros'], /^instar: abi: ConvertConfig\.magic at byte 0: found 0, expected 1129270870\n$/],
    [['Completion', 'ring', '--endian', 'middle'], /^instar: abi: found --endian middle, expected little or big\n$/],
    [['Completion', 'ring', '--target', 'vax'], /^instar: abi: found the target vax, expected m64, m32, x86_64/],
    [['Completion', 'ring', '--from', 'ring'], /^instar: abi: ring: is no JSON; [^\n]+\n$/],
    [['Completion', 'ring@x'], /^instar: abi: 'x' is not a size[^\n]+; a file that has an @ [^\n]+: ring@x@0\n$/],
    [['Bytes', 'ring', '--from', 'large.json'], /^instar: abi: Bytes has 4294967296 bytes [^\n]+\n$/],
    [['Nothing', 'ring', '--from', 'large.json'], /^instar: abi: Nothing has [^\n]+ 1099511627776 fields[^\n]+\n$/],
    [['Completion', 'ring', '--from', '/dev/zero'], /^instar: abi: \/dev\/zero: has more than \d+ bytes; [^\n]+\n$/],
    [['Completion'], /^instar: abi: missing required argument 'place'; see instar abi --help\n$/],
  ])('decode %j is one line and exit code 1', (words, message) => {
    const directory = workdir()
      .write('ring', bytes)
      .write('zeros', Buffer.alloc(416))
      .write('large.json', JSON.stringify(LARGE));
    const ended = instar('abi', 'decode', ...words)
      .in(directory)
      .run();
    expect([ended.status, ended.stdout]).toEqual([1, '']);
    expect(ended.stderr).toMatch(message);
  });
});

describe('instar abi', () => {
  it('has help for itself and each of its commands', () => {
    for (const words of [['--help'], ['extract', '--help'], ['decode', '--help']]) {
      const ended = instar('abi', ...words)
        .in(workdir())
        .must();
      expect(ended.stdout).toMatch(/^Usage: instar abi /);
    }
    expect(instar('abi').in(workdir()).run().status).toBe(1);
    expect(instar('abi', 'frobnicate').in(workdir()).run().stderr).toMatch(
      /^instar: abi: unknown command 'frobnicate'[^\n]*\n$/,
    );
  });

  it('shows nothing that moves the cursor of a terminal', () => {
    const types = { structs: [{ name: 'T', fields: [{ name: 'a', type: { text: 8 } }] }] };
    const name = 'a\u001b[31m@b';
    const directory = workdir().write('t.json', JSON.stringify(types)).write(name, Buffer.from('\u009b2J\u202e\0'));
    const shown = instar('abi', 'decode', '--from', 't.json', 'T', `${name}@0`).in(directory).run();
    expect(shown.stdout.replaceAll('\n', '') + shown.stderr).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    for (const words of [
      ['emit', '--to', name],
      ['diff', name, '1.0'],
      ['diff', '1.0', '1.0', '--at-most', name],
      ['extract', 'x.h', 'struct s', '-D', name],
    ]) {
      const ended = instar('abi', ...words)
        .in(directory)
        .run();
      expect([ended.status, ended.stdout]).toEqual([1, '']);
      expect(ended.stderr).toMatch(/^instar: abi: [\x20-\x7e]+\n$/);
    }
  });

  it('refuses a file of hostile JSON in one line', () => {
    const cycle = { structs: [{ name: 'S', fields: [{ name: 'a', type: { struct: 'S' } }] }] };
    const directory = workdir()
      .write('cycle.json', JSON.stringify(cycle))
      .write('name.json', '{"structs":[{"name":"a\\u001b[31m","fields":[]}]}');
    for (const file of ['cycle.json', 'name.json']) {
      const ended = instar('abi', 'show', '--from', file).in(directory).run();
      expect([ended.status, ended.stdout]).toEqual([1, '']);
      expect(ended.stderr).toMatch(/^instar: abi: [\x20-\x7e]+\n$/);
    }
  });
});

describe('instar abi, asked for more than one type of C', () => {
  it('reads tables, the rest of a file, and standard input, also behind an offset', (context) => {
    requireJudge(context, GCC);
    const directory = workdir().write(
      't.h',
      'enum mode { SLOW, FAST = 9 }; struct entry { unsigned short id; enum mode m : 8; };',
    );
    directory.write('t.json', instar('abi', 'extract', '--layout', 't.h', 'struct entry').in(directory).must().stdout);
    const table = Buffer.from('ffff' + '0100090000000000'.slice(0, 8) + '02000000' + '03000900', 'hex');
    directory.write('table.bin', table);
    const decode = (type: string, place: string, input?: Buffer): string => {
      const asked = instar('abi', 'decode', '--from', 't.json', type, place).in(directory);
      return (input === undefined ? asked : asked.reading(input)).must().stdout;
    };
    expect(decode('entry[3]', 'table.bin@2')).toMatch(/\[0\]\.m +9 FAST\n[^]*\[2\]\.id +3\n[^]*\[2\]\.m +9 FAST\n$/);
    expect(decode('entry[]', 'table.bin@6')).toMatch(/^entry\[\] at 6 of table.bin: 8 bytes/);
    expect(decode('entry', '-', table.subarray(2))).toMatch(/^entry at 0 of standard input: 4 bytes.*\n.* id +1\n/);
    expect(decode('entry[2]', '-@6', table)).toMatch(/\[1\]\.id +3\n/);
    const cut = instar('abi', 'decode', '--from', 't.json', 'entry[4]', 'table.bin@2').in(directory).run();
    expect(cut.status).toBe(1);
    expect(cut.stderr).toMatch(/^instar: abi: table\.bin: has 12 bytes at offset 2, entry\[4\] needs 16\n$/);
  });

  it('asks for constants, in C++, with flags of the compiler, for other targets', (context) => {
    requireJudge(context, GCC);
    const directory = workdir()
      .write('c.h', '#define WIDTH (4 * sizeof(int))\nenum { BIT = 3 };\nstruct s { char c; before b; };')
      .write('before.h', 'typedef long before;');
    const extract = (...words: string[]) => instar('abi', 'extract', ...words).in(directory);
    const flags = ['--', '-include', 'before.h', '-fpack-struct'];
    expect(extract('c.h', 'struct s', 'WIDTH', 'BIT', ...flags).must().stdout).toBe(
      'WIDTH = 16 (0x10), unsigned long\nBIT = 3, int\n\n' +
        'struct s on x86_64: 9 bytes, alignment 1\n  0              char c\n  1              before b\n',
    );
    const json = extract('c.h', 'BIT', '--layout', ...flags).must().stdout;
    expect(JSON.parse(json)).toMatchObject({ abi: { constants: { BIT: '3' } } });
    const refused = extract('--target', 'vax', 'c.h', 'BIT').run();
    expect(refused.stderr).toMatch(/found the target vax, expected m64, m32, x86_64.*riscv64.*windows_x64\n$/);
  });
});

describe('instar abi extract --from', () => {
  it('takes types out of a program, without its source', (context) => {
    requireJudge(context, GCC);
    const directory = workdir().write(
      'p.c',
      'struct wire { char kind; int size; enum { A, B } mode; }; struct wire w; int main(void) { return w.size; }',
    );
    execFileSync('gcc', ['-g', '-o', directory.file('program'), directory.file('p.c')]);
    const text = instar('abi', 'extract', '--from', 'program', 'struct wire', 'B').in(directory).must().stdout;
    expect(text).toMatch(
      /^B = 1, enum\n\nstruct wire on x86_64: 12 bytes, alignment 4\n {2}0 +char kind\n {2}4 +int size\n/,
    );
    directory.write(
      'w.json',
      instar('abi', 'extract', '--from', 'program', '--layout', 'struct wire').in(directory).must().stdout,
    );
    directory.write('w.bin', Buffer.from('410000000700000001000000', 'hex'));
    expect(instar('abi', 'decode', '--from', 'w.json', 'wire', 'w.bin').in(directory).must().stdout).toMatch(
      /mode +1 B\n$/,
    );
    const refused = instar('abi', 'extract', '--from', 'p.c', 'struct wire').in(directory).run();
    expect(refused.stderr).toBe('instar: abi: p.c is neither ELF nor BTF\n');
    expect(instar('abi', 'extract', 'p.c').in(directory).run().stderr).toMatch(/no name behind the header/);
  });
});
