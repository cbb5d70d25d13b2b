import { describe, expect, it } from 'vitest';

import { instar } from '../support/command.js';
import { QEMU_IMG, requireJudge, STRACE } from '../support/judge.js';
import { qemuImg } from '../support/qemu-img.js';
import { noise } from '../support/random.js';
import { workdir } from '../support/workdir.js';

/** What `instar info --json` adds to what qemu-img says, or prints instead of it. */
interface Printed {
  readonly instar?: { readonly safety: { readonly safe: boolean; readonly checks: readonly Check[] } };
  readonly error?: { readonly code: string; readonly message: string };
}

interface Check {
  readonly name: string;
  readonly passed: boolean;
  readonly evidence: string;
}

function parsed(text: string): Printed {
  return JSON.parse(text) as Printed;
}

function failedChecks(text: string): string[] {
  return (parsed(text).instar?.safety.checks ?? []).filter((check) => !check.passed).map((check) => check.name);
}

describe('the command line of info', () => {
  it.for<[tokens: string[], message: RegExp]>([
    [['--image-opts', 'driver=nbd,host=h'], /--image-opts: "host" is not offered; it takes driver, [^\n]+/],
    [
      ['--image-opts', '-f', 'raw', 'driver=raw,file.filename=in.raw'],
      /--image-opts and --format are mutually exclusive/,
    ],
    [['--object', 'throttle-group,id=t', 'in.raw'], /--object: only secrets are offered; [^\n]+/],
    [['--object', 'secret,id=s', 'in.raw'], /--object secret: "s" needs one of data= and file=/],
    [['--object', 'secret,id=s,data=!,format=base64', 'in.raw'], /--object secret: "s" is not base64/],
    [
      ['--passphrase-file', 'missing', 'in.raw'],
      /missing: the passphrase could not be read: no such file or directory/,
    ],
    [['--output=xml', 'in.raw'], /expected human or json/],
    [['--nonsense', 'in.raw'], /unknown option '--nonsense'/],
    [[], /missing required argument/],
    [['-f', 'zip', 'in.raw'], /unknown format 'zip'; known are [^\n]+/],
    [['-f', 'luks', 'in.raw'], /in\.raw: the file is not in this format/],
    [['-f', 'iso9660', 'in.raw'], /images of format iso9660 are not read yet; raw, qcow2, [^\n]+ and \w+ are/],
    [['missing'], /missing: cannot be opened: no such file or directory \(ENOENT\)/],
  ])('%j is refused in one line, exit code 1', ([tokens, message]) => {
    const finished = instar('info', ...tokens)
      .in(workdir().write('in.raw', noise(512)))
      .run();
    expect(finished.stderr).toMatch(/^instar: info: [^\n]+\n$/);
    expect(finished.stderr).toMatch(message);
    expect(finished.stdout).toBe('');
    expect(finished.status).toBe(1);
  });

  it('--json gives an error as a record with a code on stdout', () => {
    const finished = instar('info', '--json', 'missing').in(workdir()).run();
    expect(finished.status).toBe(1);
    expect(finished.stderr).toBe('');
    expect(parsed(finished.stdout).error).toMatchObject({
      command: 'info',
      code: 'READ_FAILED',
      message: 'missing: cannot be opened: no such file or directory (ENOENT)',
      file: 'missing',
    });
  });

  it('--help exits 0 and shows the exit codes', () => {
    const finished = instar('info', '--help').must();
    expect(finished.stdout).toContain('3 not safe');
    expect(finished.stderr).toBe('');
  });
});

describe('the safety verdict', () => {
  it('of a plain image is safe, and --require-safe exits 0', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir().write('in.raw', noise(512));
    const formats = ['qcow2', 'vmdk', 'vdi', 'vpc', 'vhdx', 'qcow', 'qed', 'parallels'];
    for (const format of formats) qemuImg('create', '-q', '-f', format, `image.${format}`, '1M').in(directory).must();
    for (const image of ['in.raw', ...formats.map((format) => `image.${format}`)]) {
      const { stdout } = instar('info', '--json', '--require-safe', image).in(directory).must();
      expect(parsed(stdout).instar?.safety.safe).toBe(true);
      expect(failedChecks(stdout)).toEqual([]);
    }
  });

  it.for<[flags: string[]]>([[[]], [['--json']], [['--backing-chain', '--json']]])(
    'of a safe image and its description (%j) come from one opened file',
    ([flags], context) => {
      requireJudge(context, STRACE);
      const directory = workdir().write('in.raw', noise(512));
      const trace = `${directory.path}.strace`;
      const { stdout } = instar('info', '--require-safe', ...flags, 'in.raw')
        .under('strace', '-f', '--seccomp-bpf', '-qq', '-e', 'trace=open,openat,openat2', '-o', trace)
        .in(directory)
        .must();
      expect(stdout).toContain('raw');
      expect(directory.readOutside(trace).match(/"in\.raw"/g)).toHaveLength(1);
    },
  );

  it.for<[file: string, make: string[][], check: string]>([
    ['backed.qcow2', [['create', '-q', '-f', 'qcow2', '-b', 'in.raw', '-F', 'raw', 'backed.qcow2']], 'backing-file'],
    ['split.qcow2', [['create', '-q', '-f', 'qcow2', '-o', 'data_file=d', 'split.qcow2', '1M']], 'data-file'],
    [
      'flat.vmdk',
      [['create', '-q', '-f', 'vmdk', '-o', 'subformat=monolithicFlat', 'flat.vmdk', '1M']],
      'extent-paths',
    ],
    [
      'encrypted.qcow2',
      [
        [
          'create',
          '-q',
          '--object',
          'secret,id=s,data=abc',
          '-f',
          'qcow2',
          '-o',
          'encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10',
          'encrypted.qcow2',
          '1M',
        ],
      ],
      'encrypted',
    ],
  ])('of %s fails on its one point, and --require-safe exits 3 in one line', ([file, commands, check], context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir().write('in.raw', noise(512));
    for (const command of commands)
      qemuImg(...command)
        .in(directory)
        .must();
    const finished = instar('info', '--require-safe', file).in(directory).run();
    expect(finished.status).toBe(3);
    expect(finished.stdout).toBe('');
    expect(finished.stderr).toMatch(new RegExp(`^instar: info: ${file}: not safe \\([^\\n]*${check}: [^\\n]+\\n$`));

    const json = instar('info', '--require-safe', '--json', file).in(directory).run();
    expect(json.status).toBe(3);
    expect(json.stderr).toBe('');
    expect(failedChecks(json.stdout)).toContain(check);
  });

  it('of an image that cannot be read counts what could not be looked at as failed', () => {
    const directory = workdir().write(
      'bad.qcow2',
      Buffer.concat([Buffer.from('QFI\u00fb\0\0\0\u0003', 'latin1'), Buffer.alloc(600)]),
    );
    const { status, stdout } = instar('info', '--require-safe', '--json', 'bad.qcow2').in(directory).run();
    expect(status).toBe(3);
    expect(failedChecks(stdout)).toEqual(
      expect.arrayContaining(['structure', 'backing-file', 'data-file', 'encrypted']),
    );
  });

  it('--require-safe of a file that is not there is a failure, not a verdict', () => {
    const finished = instar('info', '--require-safe', 'missing').in(workdir()).run();
    expect(finished.status).toBe(1);
  });

  it('of an encrypted image: dd refuses it with a sentence, info describes it', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    const options = 'encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10';
    qemuImg('create', '-q', '--object', 'secret,id=s,data=abc', '-f', 'qcow2', '-o', options, 'e.qcow2', '1M')
      .in(directory)
      .must();
    const finished = instar('dd', 'if=e.qcow2', 'of=out.raw').in(directory).run();
    expect(finished.status).toBe(1);
    expect(finished.stderr).toMatch(
      /^instar: dd: e\.qcow2: the image is encrypted, and [^\n]+\(crypt_method at offset 32 is 2, /,
    );
    expect(directory.names()).toEqual(['e.qcow2']);
    expect(instar('info', 'e.qcow2').in(directory).must().stdout).toContain('encrypted: yes');
  });
});
