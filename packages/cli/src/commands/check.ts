import { check, EngineError, repair, shownName, type CheckFinding, type CheckReport } from '@instar/engine';
import { EXIT_CODES } from '../exit-codes.js';
import { toJson } from '../render/json.js';
import { CACHE_MODES } from './cache-modes.js';
import { defineCommand, type CommandRun } from './define-command.js';
import { editOptions, type EditFlags } from './edit-options.js';
import { standardError } from '../process/standard-streams.js';

interface CheckFlags extends EditFlags {
  readonly format?: string;
  readonly repair?: 'leaks' | 'all';
}

/** What the library says of formats that exist, and have nothing to check; of those that do not it says something else. */
const NOTHING_TO_CHECK = /images of format \S+ are not (?:checked|repaired)$/;
/** Exit codes of `qemu-img check`. */
const CODES = { CLEAN: 0, CORRUPTIONS: 2, LEAKS: 3, UNSUPPORTED: 63 } as const;

/** Rounded as C does it: what lies exactly between two numbers becomes the even one, not the larger one. */
function percent(part: bigint, whole: bigint): string {
  const value = (Number(part) * 100) / Number(whole);
  const below = Math.floor(value * 100);
  const isBetween = Number.isInteger(value * 8) && value * 100 - below === 0.5;
  return (isBetween && below % 2 === 0 ? below / 100 : value).toFixed(2);
}

function lines(report: CheckReport): readonly string[] {
  const { corruptions, leaks, totalClusters: total, allocatedClusters: allocated } = report;
  const found = [
    ...(corruptions === 0n
      ? []
      : [
          '',
          `${corruptions} errors were found on the image.`,
          'Data may be corrupted, or further writes to the image may corrupt it.',
        ]),
    ...(leaks === 0n
      ? []
      : [
          '',
          `${leaks} leaked clusters were found on the image.`,
          'This means waste of disk space, but no harm to data.',
        ]),
  ];
  const clusters =
    total === 0n || allocated === 0n
      ? []
      : [
          `${allocated}/${total} = ${percent(allocated, total)}% allocated, ` +
            `${percent(report.fragmentedClusters, allocated)}% fragmented, ` +
            `${percent(report.compressedClusters, allocated)}% compressed clusters`,
        ];
  const verdict = found.length === 0 ? ['No errors were found on the image.'] : found;
  const end = report.imageEnd === 0n ? [] : [`Image end offset: ${report.imageEnd}`];
  return [...verdict, ...clusters, ...end];
}

/** What was repaired. */
interface Fixed {
  readonly corruptionsFixed: bigint;
  readonly leaksFixed: bigint;
}

const NOTHING_FIXED: Fixed = { corruptionsFixed: 0n, leaksFixed: 0n };

/** What qemu-img leaves out where it is 0. */
function count(value: bigint): bigint | undefined {
  return value === 0n ? undefined : value;
}

function record(file: string, report: CheckReport, { corruptionsFixed, leaksFixed } = NOTHING_FIXED): object {
  return {
    'image-end-offset': count(report.imageEnd),
    'compressed-clusters': count(report.compressedClusters),
    'total-clusters': count(report.totalClusters),
    corruptions: count(report.corruptions),
    'corruptions-fixed': count(corruptionsFixed),
    'check-errors': 0,
    leaks: count(report.leaks),
    'leaks-fixed': count(leaksFixed),
    'allocated-clusters': count(report.allocatedClusters),
    filename: shownName(file),
    format: report.format,
    'fragmented-clusters': count(report.fragmentedClusters),
  };
}

function complainOf({ text }: CheckFinding): void {
  standardError.write(`${text}\n`);
}

/** A finding of a check after which what can be mended is mended. */
function mending(what: 'leaks' | 'all'): (finding: CheckFinding) => void {
  return ({ kind, text, ...finding }) => {
    const mends = what === 'all' || kind === 'leak';
    const begun = mends
      ? text.replace(/^(?:ERROR|Leaked) (?=cluster |OFLAG_COPIED|offset=[0-9a-f]+: Preallocated)/, 'Repairing ')
      : text;
    complainOf({ ...finding, kind, text: begun });
  };
}

/** Repairs the image, and says what was mended. */
async function mend(
  what: 'leaks' | 'all',
  { files: [file = ''], flags, json, control, say }: CommandRun<CheckFlags>,
): Promise<Fixed & { readonly report: CheckReport }> {
  const options = { ...editOptions(flags), leaksOnly: what === 'leaks', onFinding: mending(what), onRest: complainOf };
  const done = await repair(file, { ...options, ...control });
  const { corruptionsFixed, leaksFixed } = done;
  if (!json && corruptionsFixed + leaksFixed > 0n) {
    say('The following inconsistencies were found and repaired:\n');
    say(`    ${leaksFixed} leaked clusters`);
    say(`    ${corruptionsFixed} corruptions\n`);
    say('Double checking the fixed image now...');
  }
  return done;
}

async function run(command: CommandRun<CheckFlags>): Promise<number> {
  const { files, flags, json, control, pathPolicy, say, complain } = command;
  const [file = ''] = files;
  const { format, forceShare } = flags;
  let fixed = NOTHING_FIXED;
  let report: CheckReport;
  if (flags.repair === undefined) {
    report = await check(file, { format, forceShare, pathPolicy, onFinding: complainOf }, control);
  } else {
    ({ report, ...fixed } = await mend(flags.repair, command));
  }
  if (!report.supported) {
    const message = `images of format ${report.format} are not checked`;
    complain(new EngineError('UNSUPPORTED_FORMAT', message, { file }));
    return CODES.UNSUPPORTED;
  }
  if (json) say(toJson(record(file, report, fixed)));
  else lines(report).forEach(say);
  if (report.corruptions > 0n) return CODES.CORRUPTIONS;
  return report.leaks > 0n ? CODES.LEAKS : CODES.CLEAN;
}

/** `instar check` */
export const checkCommand = defineCommand<CheckFlags>({
  name: 'check',
  about: 'Checks whether the metadata of an image agrees with itself. Nothing is changed without -r.',
  operands: [['<file>', 'the image']],
  options: (command, values) =>
    command
      .option('-f, --format <fmt>', 'format of the image; it is then not probed')
      .option(
        '-r, --repair <what>',
        'repair what is found (qcow2, qed, parallels, vdi, log of vhdx): leaks or all',
        values.oneOf(['leaks', 'all'] as const),
      )
      .option(
        '--no-undo',
        'with -r: write no undo log; a repair that is interrupted then leaves the image half repaired',
      )
      .option('-q, --quiet', 'print nothing but errors and findings')
      .option('-T, --source-cache <mode>', 'without effect', values.oneOf(CACHE_MODES)),
  notes:
    'Findings are printed on standard error.\n' +
    'Exit codes: 0 no findings, 1 refused or failed, 2 corruptions, 3 leaks only, 63 nothing to check, 130 interrupted.',
  failure: (error) =>
    error instanceof EngineError && NOTHING_TO_CHECK.test(error.message) ? CODES.UNSUPPORTED : EXIT_CODES.FAILURE,
  readsRemote: true,
  run,
});
