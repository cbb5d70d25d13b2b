import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { OUTPUT_FORMATS, parseDd, type DdOperands } from './dd-operands.js';
import { OperandError } from './errors.js';

const FILES = ['if=in.qcow2', 'of=out.raw'];

function dd(...tokens: string[]): DdOperands {
  const parsed = parseDd([...tokens, ...FILES]);
  if (parsed.kind !== 'dd') throw new Error('help was not expected');
  return parsed;
}

function errorOf(...tokens: string[]): OperandError {
  try {
    parseDd(tokens);
  } catch (error) {
    if (error instanceof OperandError) return error;
    throw error;
  }
  throw new Error('the tokens were accepted');
}

describe('parseDd', () => {
  it('has defaults for all but the files', () => {
    expect(parseDd(FILES)).toEqual({
      kind: 'dd',
      if: 'in.qcow2',
      of: 'out.raw',
      bs: 512n,
      skip: 0n,
      conv: { sparse: false },
      outputFormat: 'raw',
      force: false,
      forceShare: false,
      progress: false,
      json: false,
      noClobber: false,
      strict: false,
      quiet: false,
      verbose: false,
      sandbox: 'auto',
      allowPaths: [],
      backing: true,
      limits: {},
    });
  });

  it('reads every operand', () => {
    const tokens = 'bs=1M count=10 skip=2 seek=0 isize=1G osize=0x200 conv=sparse,sparse status=noxfer'.split(' ');
    expect(dd(...tokens)).toMatchObject({
      bs: 1n << 20n,
      count: 10n,
      skip: 2n,
      seek: 0n,
      isize: 1n << 30n,
      osize: 512n,
      conv: { sparse: true },
      status: 'noxfer',
    });
  });

  it('reads every option', () => {
    const tokens =
      '-f qcow2 -O vhdx -U -p --json --no-clobber --sandbox=kvm --allow-path a --allow-path=b --no-backing';
    expect(dd(...tokens.split(' '))).toMatchObject({
      inputFormat: 'qcow2',
      outputFormat: 'vhdx',
      forceShare: true,
      progress: true,
      json: true,
      noClobber: true,
      sandbox: 'kvm',
      allowPaths: ['a', 'b'],
      backing: false,
    });
  });

  it.each([
    [['-f', 'raw']],
    [['-fraw']],
    [['--format', 'raw']],
    [['--format=raw']],
    [['--form=raw']],
    [['-Ufraw']],
    [['-Uf', 'raw']],
    [['-f', 'foo', '-f', 'raw']],
  ])('takes the input format from %j', (tokens) => {
    expect(dd(...tokens).inputFormat).toBe('raw');
  });

  it.each(OUTPUT_FORMATS)('knows the output format %s', (format) => {
    expect(dd('-O', format).outputFormat).toBe(format);
    expect(dd(`-O${format}`).outputFormat).toBe(format);
    expect(dd(`--output-format=${format}`).outputFormat).toBe(format);
    expect(dd('--output', format).outputFormat).toBe(format);
  });

  it('takes whatever follows an option with an argument as that argument', () => {
    expect(dd('-f', '--').inputFormat).toBe('--');
    expect(dd('-f', '-U')).toMatchObject({ inputFormat: '-U', forceShare: false });
    expect(errorOf('-f', 'if=a', 'of=b').code).toBe('MISSING_OPERAND');
  });

  it('splits operands at the first equals sign', () => {
    expect(parseDd(['if=a=b', 'of==c='])).toMatchObject({ if: 'a=b', of: '=c=' });
  });

  it('lets the last of a repeated token win', () => {
    expect(dd('bs=1', 'bs=2').bs).toBe(2n);
    expect(dd('if=', 'of=').if).toBe('in.qcow2');
    expect(dd('-O', 'nonsense', '-O', 'raw').outputFormat).toBe('raw');
    expect(dd('-f', '', '-f', 'raw').inputFormat).toBe('raw');
  });

  it('checks a size even where a later one replaces it', () => {
    expect(errorOf('bs=0', 'bs=512', ...FILES).code).toBe('ZERO_BLOCK_SIZE');
  });

  it('takes options behind operands, but none behind --', () => {
    expect(parseDd([...FILES, '-U', '--', 'bs=1'])).toMatchObject({ forceShare: true, bs: 1n });
    expect(errorOf('--', ...FILES, '-f', 'raw')).toMatchObject({ code: 'NOT_AN_OPERAND', token: '-f' });
  });

  it('leaves - and ./- as they are', () => {
    expect(parseDd(['if=-', 'of=./-'])).toMatchObject({ if: '-', of: './-' });
  });

  it.each([[['-h']], [['--help']], [['--hel']], [['nonsense', '-Uh', '--nonsense']], [['-h', '-f']]])(
    'asks for help at %j',
    (tokens) => {
      expect(parseDd(tokens)).toEqual({ kind: 'help' });
    },
  );

  it('reports a wrong option left of --help', () => {
    expect(errorOf('--nonsense', '--help').code).toBe('UNKNOWN_OPTION');
  });

  it.each([
    [[], 'MISSING_OPERAND'],
    [['if=a'], 'MISSING_OPERAND'],
    [['of=a'], 'MISSING_OPERAND'],
    [['if=', 'of=a'], 'EMPTY_FILE_NAME'],
    [['if=a', 'of='], 'EMPTY_FILE_NAME'],
    [['bs'], 'NOT_AN_OPERAND'],
    [['-'], 'NOT_AN_OPERAND'],
    [[''], 'NOT_AN_OPERAND'],
    [['=1'], 'UNKNOWN_OPERAND'],
    [['BS=1'], 'UNKNOWN_OPERAND'],
    [['ibs=1'], 'UNKNOWN_OPERAND'],
    [['__proto__=1'], 'UNKNOWN_OPERAND'],
    [['constructor=1'], 'UNKNOWN_OPERAND'],
    [['bs=0'], 'ZERO_BLOCK_SIZE'],
    [['bs=0x0'], 'ZERO_BLOCK_SIZE'],
    [['bs=-0'], 'ZERO_BLOCK_SIZE'],
    [['bs=2147483648'], 'SIZE_OUT_OF_RANGE'],
    [['bs=2G'], 'SIZE_OUT_OF_RANGE'],
    [['bs=-1'], 'SIZE_OUT_OF_RANGE'],
    [['count=9223372036854775808'], 'SIZE_OUT_OF_RANGE'],
    [['bs='], 'INVALID_SIZE'],
    [['count=1KiB'], 'INVALID_SIZE'],
    [['skip=x'], 'INVALID_SIZE'],
    [['seek='], 'INVALID_SIZE'],
    [['isize=1.5'], 'INVALID_SIZE'],
    [['osize=-'], 'INVALID_SIZE'],
    [['conv='], 'UNKNOWN_CONVERSION'],
    [['conv=sparse,notrunc'], 'UNKNOWN_CONVERSION'],
    [['status=loud'], 'UNKNOWN_STATUS'],
    [['--sandbox=none', ...FILES], 'UNKNOWN_SANDBOX'],
    [['-O', 'zip', ...FILES], 'UNKNOWN_OUTPUT_FORMAT'],
    [['-O', 'RAW', ...FILES], 'UNKNOWN_OUTPUT_FORMAT'],
    [['-O', '', ...FILES], 'UNKNOWN_OUTPUT_FORMAT'],
    [['--format=', ...FILES], 'EMPTY_OPTION_ARGUMENT'],
    [['--allow-path=', ...FILES], 'EMPTY_OPTION_ARGUMENT'],
    [['-x'], 'UNKNOWN_OPTION'],
    [['-Ux'], 'UNKNOWN_OPTION'],
    [['-\u{1f600}'], 'UNKNOWN_OPTION'],
    [['--U'], 'UNKNOWN_OPTION'],
    [['--for=raw'], 'AMBIGUOUS_OPTION'],
    [['--o=raw'], 'AMBIGUOUS_OPTION'],
    [['-f'], 'MISSING_OPTION_ARGUMENT'],
    [['--allow-path'], 'MISSING_OPTION_ARGUMENT'],
    [['--force-share=1'], 'UNEXPECTED_OPTION_ARGUMENT'],
    [['--image-opts'], 'UNSUPPORTED_OPTION'],
    [['--object', 'secret,id=s'], 'UNSUPPORTED_OPTION'],
  ])('refuses %j with %s', (tokens, code) => {
    expect(errorOf(...tokens).code).toBe(code);
  });

  it.each([
    [['if=a', 'of=b', 'bs=huge'], 'bs=huge', 2, 3],
    [['if=a', 'sizzle=1', 'of=b'], 'sizzle=1', 1, 0],
    [['if=a', '-UO', 'zip', 'of=b'], 'zip', 2, 0],
    [['-UOzip', 'if=a', 'of=b'], '-UOzip', 0, 3],
    [['-Uy'], '-Uy', 0, 2],
    [['x', '--output-format=zip', 'y', '--', '-f'], 'x', 0, 0],
    [['if=a', 'of=b', '--output-format=zip'], '--output-format=zip', 2, 16],
    [['if=a', 'of='], 'of=', 1, 3],
  ])('says where in %j the mistake is', (tokens, token, index, offset) => {
    expect(errorOf(...tokens)).toMatchObject({ token, position: { index, offset } });
  });

  it('has no position for a token that is missing', () => {
    expect(errorOf('if=a')).toMatchObject({ token: undefined, position: undefined });
  });

  it.each([
    ['BS=1', 'write bs='],
    ['disk.qcow2', 'if=disk.qcow2'],
    ['conv=notrunc', "'notrunc'"],
    ['bs=4096kB', 'write 4096k'],
  ])('says how to mend %j', (token, advice) => {
    expect(errorOf(token).message).toContain(advice);
  });

  it('puts nothing on a terminal that the terminal would act on', () => {
    const evil = '\u001b[31m\u0007\r\n\u009b2J\u202e\u2028\u{e0041}\ud800';
    // eslint-disable-next-line no-control-regex -- control characters are what must not be there
    const acted = /[\u0000-\u001f\u007f-\u009f\u2028-\u202e]|\p{Cs}|\p{Cf}/u;
    for (const tokens of [[evil], [`${evil}=1`], [`bs=${evil}`], [`-${evil}`], [`--${evil}`], ['-O', evil, ...FILES]]) {
      const { message, token } = errorOf(...tokens);
      expect(message).not.toMatch(acted);
      expect(token).toContain(evil);
    }
  });

  it('keeps messages short whatever the token', () => {
    expect(errorOf(`bs=${'9'.repeat(100_000)}x`).message.length).toBeLessThan(400);
    expect(errorOf('\u0000'.repeat(100_000)).message.length).toBeLessThan(600);
  });

  it('gives a result or an OperandError for any tokens', () => {
    const part = fc.constantFrom(
      ...'if= of= bs= count= skip= conv= status= -f -O -U -- - --format --json = 1 k a'.split(' '),
    );
    const token = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(part, { maxLength: 4 }).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(fc.array(token, { maxLength: 8 }), (tokens) => {
        try {
          expect(['dd', 'help']).toContain(parseDd(tokens).kind);
        } catch (error) {
          if (!(error instanceof OperandError)) throw error;
          expect(error.message).not.toContain('\n');
          if (error.position !== undefined) expect(tokens[error.position.index]).toBe(error.token);
        }
      }),
      { numRuns: 3000 },
    );
  });
});
