import { describe, expect, it } from 'vitest';

import { instar, type Finished } from '../support/command.js';
import { noise } from '../support/random.js';
import { Qcow2Builder } from '../support/qcow2-builder.js';
import { bounded, expectHarmlessText, expectOneLine } from '../support/refusal.js';
import { workdir, type Workdir } from '../support/workdir.js';

/** Short enough for every name of the format; the text around shows that the rest of the name is still told. */
const PAYLOADS: readonly (readonly [about: string, payload: string, shown: string])[] = [
  ['ESC', 'a\u001b[2Jb', String.raw`a\x1b[2Jb`],
  ['a new line', 'a\nsafety: safeb', String.raw`a\x0asafety: safeb`],
  ['a carriage return', 'a\rb', String.raw`a\x0db`],
  ['C1', 'a\u009b31mb', String.raw`a\x9b31mb`],
  ['DEL and BEL', 'a\u007f\u0007b', String.raw`a\x7f\x07b`],
  ['a change of direction', 'a\u202eb', String.raw`a\u{202e}b`],
  ['an isolate', 'a\u2066b', String.raw`a\u{2066}b`],
  ['a line separator', 'a\u2028b', String.raw`a\u{2028}b`],
  ['a backslash', String.raw`a\x1bb`, String.raw`a\\x1bb`],
];

/** Where an image can put text. */
const PLACES: readonly {
  readonly place: string;
  readonly bend: (builder: Qcow2Builder, text: string) => Qcow2Builder;
}[] = [
  { place: 'name of a snapshot', bend: (builder, text) => builder.snapshot('1', text) },
  { place: 'id of a snapshot', bend: (builder, text) => builder.snapshot(text, 'name') },
  { place: 'backing file name', bend: (builder, text) => builder.backing(text, 'raw') },
  { place: 'backing format', bend: (builder, text) => builder.backing('base', text) },
  { place: 'name of the data file', bend: (builder, text) => builder.dataFile(text) },
  { place: 'name of a bitmap', bend: (builder, text) => builder.bitmap(text) },
  { place: 'name of a feature', bend: (builder, text) => builder.unknownFeature(40, text) },
];

describe.for(PLACES)('control characters in the $place', ({ place, bend }) => {
  const isFeature = place.includes('feature');

  function run(directory: Workdir, ...words: readonly string[]): Finished {
    return bounded(instar(...words), directory);
  }

  it.for(PAYLOADS)('%s', ([, payload, shown]) => {
    const directory = workdir().write('image.qcow2', bend(new Qcow2Builder(), payload).bytes);
    const info = run(directory, 'info', 'image.qcow2');
    expectHarmlessText(info.stdout);
    if (isFeature) {
      // An unknown feature is a refusal; its name is bytes there, so all but ASCII is shown as bytes.
      expectOneLine(info, 'info');
      expect(info.stderr).toContain('the image needs features that are not supported: a');
    } else {
      expect(info.stdout).toContain(shown);
      expect(info.stdout.match(/^safety: /gm)).toHaveLength(1);
    }
  });

  it('are kept as they are inside JSON strings, and never get into an error line', () => {
    const payload = 'a\u001b[2J\n\u202eb';
    const directory = workdir().write('image.qcow2', bend(new Qcow2Builder(), payload).bytes);
    const json = run(directory, 'info', '--json', 'image.qcow2');
    expect(json.status).toBe(isFeature ? 1 : 0);
    if (!isFeature) expect(JSON.stringify(JSON.parse(json.stdout))).toContain(JSON.stringify(payload).slice(1, -1));

    const dd = run(directory, 'dd', 'if=image.qcow2', 'of=out.raw');
    if (dd.status !== 0) expectOneLine(dd, 'dd');
    const chain = run(directory, 'info', '--backing-chain', 'image.qcow2');
    if (chain.status !== 0) expectOneLine(chain, 'info');
    expectHarmlessText(chain.stdout);
    const verdict = run(directory, 'info', '--require-safe', 'image.qcow2');
    if (verdict.status !== 0) expect(verdict.stderr).toMatch(/^instar: info: [^\n]+\n$/);
  });
});

describe('control characters in what the user types', () => {
  const NAME = 'a\u001b[2J\nb\u202e';
  const SHOWN = String.raw`a\x1b[2J\x0ab\u{202e}`;

  function expectShown(finished: Finished, text: string): void {
    expectHarmlessText(finished.stderr);
    expect(finished.stderr).toMatch(/^instar: [^\n]+\n$/);
    expect(finished.stderr).toContain(text);
    expect(finished.status).toBe(1);
  }

  it.for<[about: string, words: string[]]>([
    ['a missing input', ['dd', `if=${NAME}`, 'of=out']],
    ['an output without a directory', ['dd', 'if=in.raw', `of=${NAME}/out`]],
    ['a format', ['dd', 'if=in.raw', 'of=out', '-f', NAME]],
    ['an output format', ['dd', 'if=in.raw', 'of=out', '-O', NAME]],
    ['an operand', ['dd', 'if=in.raw', 'of=out', `${NAME}=1`]],
    ['a number', ['dd', 'if=in.raw', 'of=out', `bs=${NAME}`]],
    ['a conversion', ['dd', 'if=in.raw', 'of=out', `conv=${NAME}`]],
    ['an option of dd', ['dd', 'if=in.raw', 'of=out', `--${NAME}`]],
    ['a file of info', ['info', NAME]],
    ['an option of info', ['info', `--${NAME}`]],
    ['a format of info', ['info', '-f', NAME, 'in.raw']],
    ['an output of info', ['info', `--output=${NAME}`, 'in.raw']],
    ['a sandbox', ['info', `--sandbox=${NAME}`, 'in.raw']],
    ['a command', [NAME]],
  ])('%s', ([, words]) => {
    const directory = workdir().write('in.raw', noise(512));
    expectShown(
      instar(...words)
        .in(directory)
        .run(),
      SHOWN,
    );
    expect(directory.names()).toEqual(['in.raw']);
  });

  it('the name of an image in what info prints', () => {
    const directory: Workdir = workdir().write(NAME, new Qcow2Builder().bytes);
    const { stdout } = instar('info', NAME).in(directory).must();
    expectHarmlessText(stdout);
    expect(stdout).toContain(`image: ${SHOWN}\n`);
  });

  it('the warning of dd', () => {
    const directory = workdir().write(NAME, noise(512));
    const { stderr } = instar('dd', `if=${NAME}`, 'of=out.raw', 'skip=9').in(directory).must();
    expectHarmlessText(stderr);
    expect(stderr).toContain(`warning: ${SHOWN}: cannot skip`);
  });

  it('the name of an input that is also the output', () => {
    const directory = workdir().write(NAME, noise(512));
    expectShown(instar('dd', `if=${NAME}`, `of=./${NAME}`).in(directory).run(), SHOWN);
  });
});
