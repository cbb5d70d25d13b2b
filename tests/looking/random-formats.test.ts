import { compare, map, type MappedExtent } from '@instar/engine';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { instar } from '../support/command.js';
import { ddInProcess } from '../support/in-process.js';
import { missing, type Json } from '../support/json.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { qemuImg } from '../support/qemu-img.js';
import { RANDOM_FORMATS, makeRandomImage, type RandomFormat } from '../support/random-formats.js';
import { Random } from '../support/random.js';
import { Workdir } from '../support/workdir.js';

/** Another seed makes other images; INSTAR_CASES makes more of each format, of which an ordinary run has a few. */
const SEED = Number(process.env['INSTAR_SEED'] ?? 20_261_127);
const CASES = Number(process.env['INSTAR_CASES'] ?? 2);
/** Formats that qemu-img does not check. One that it checks after all is a failure. */
const CHECKED_HERE_ONLY = ['vpc', 'qcow'];
const NOT_CHECKED = 63;

/** How the commands that describe an image differ from qemu-img's: in their JSON, or in how they end. */
function toldOtherwise(
  directory: Workdir,
  { name: format, unlikeMap }: RandomFormat,
  file: string,
  target: readonly string[],
): readonly string[] {
  directory.settle();
  return [
    ['info', '--output=json', '-f', format, file],
    ['check', '--output=json', '-f', format, file],
    ['measure', '--output=json', '-f', format, '-O', ...target, file],
  ].flatMap((tokens) => {
    const theirs = qemuImg(...tokens)
      .in(directory)
      .run();
    // An image in several files is described as a whole when its files may be opened.
    const chain = tokens[0] === 'info' && format === 'vmdk' ? ['--backing-chain'] : [];
    const ours = instar(...tokens, ...chain)
      .in(directory)
      .run();
    const checkedHere = tokens[0] === 'check' && CHECKED_HERE_ONLY.includes(format);
    if (checkedHere && theirs.status === NOT_CHECKED && ours.status === 0) return [];
    if (checkedHere || ours.status !== theirs.status)
      return [`${tokens.join(' ')}: status ${ours.status}, not ${theirs.status}`];
    if (theirs.stdout === '') return [];
    const said = JSON.parse(ours.stdout) as Json;
    const description = chain.length > 0 ? (said as readonly Json[])[0] : said;
    const judged = JSON.parse(theirs.stdout) as Json;
    if (tokens[0] === 'measure' && unlikeMap !== undefined) {
      // What they take for data has to be written, they say.
      const { required: most, ...rest } = judged as { readonly required: number };
      const { required } = said as { readonly required: number };
      return [
        ...missing(description, rest, 'measure'),
        ...(required <= most ? [] : [`measure/required: ${required}, more than ${most}`]),
      ];
    }
    return missing(description, judged, tokens[0]);
  });
}

const MEASURED: readonly [readonly string[], ...(readonly string[])[]] = [
  ['raw'],
  ['qcow2'],
  ['qcow2', '-o', 'cluster_size=4k,compat=0.10'],
  ['qcow2', '-o', 'refcount_bits=64'],
];

/** As qemu-img's JSON has it, without the names of files. */
function asJson({ start, length, depth, present, zero, data, compressed, offset }: MappedExtent): object {
  const place = offset === undefined ? {} : { offset: Number(offset) };
  return { start: Number(start), length: Number(length), depth, present, zero, data, compressed, ...place };
}

describe.each(RANDOM_FORMATS)('random images of $name', (format) => {
  let directory: Workdir;

  beforeAll(() => {
    directory = new Workdir();
  });

  afterAll(() => {
    directory.remove();
  });

  it('are copied, mapped, compared and described as qemu-img does it', async (context) => {
    requireJudge(context, QEMU_IMG);
    const random = new Random(SEED);
    const wrong: string[] = [];
    for (let number = 0; number < CASES; number += 1) {
      const { file, how } = makeRandomImage(random, directory, format, number);
      qemuImg('convert', '-f', format.name, '-O', 'raw', file, 'judged').in(directory).must();
      const sandbox = random.chance(2) ? 'kvm' : 'process';
      const ran = await ddInProcess(directory, ['-f', format.name, `if=${file}`, 'of=ours', 'bs=1M'], sandbox);
      const complain = (what: string): unknown =>
        wrong.push(`${what}: ${ran.error?.message ?? ''} (seed ${SEED}) ${how}`);
      if (ran.status !== 0 || !directory.read('ours').equals(directory.read('judged'))) complain('another content');
      const [image, raw] = [directory.file(file), directory.file('judged')];
      const same = await compare(image, raw, { firstFormat: format.name, secondFormat: 'raw' }, { sandbox });
      if (!same.identical || same.sizesDiffer) complain('compare');
      if (format.unlikeMap === undefined) {
        const theirs = qemuImg('map', '--output=json', '-f', format.name, file).in(directory).must();
        const judged = (JSON.parse(theirs.stdout) as Record<string, unknown>[]).map(({ filename: _, ...rest }) => rest);
        const ours: object[] = [];
        for await (const extent of map(image, { format: format.name }, { sandbox })) ours.push(asJson(extent));
        try {
          expect(ours).toEqual(judged);
        } catch (error) {
          complain(`map: ${error instanceof Error ? error.message : ''}`);
        }
      }
      directory.delete('ours');
      directory.delete('judged');
      for (const what of toldOtherwise(directory, format, file, random.pick(MEASURED))) complain(what);
      for (const name of directory.names()) directory.delete(name);
    }
    expect(wrong).toEqual([]);
  });
});
