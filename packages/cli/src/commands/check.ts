import { check, EngineError, type CheckReport } from '@instar/engine';
import { toJson } from '../render/json.js';
import { CACHE_MODES } from './cache-modes.js';
import { defineCommand, type CommandRun } from './define-command.js';

interface CheckFlags {
  readonly format?: string;
}

/** Exit codes of `qemu-img check`. */
const CODES = { CLEAN: 0, CORRUPTIONS: 2, LEAKS: 3, UNSUPPORTED: 63 } as const;

function percent(part: bigint, whole: bigint): string {
  return ((Number(part) * 100) / Number(whole)).toFixed(2);
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
  return [...verdict, ...clusters, `Image end offset: ${report.imageEnd}`];
}

/** What qemu-img leaves out where it is 0. */
function count(value: bigint): bigint | undefined {
  return value === 0n ? undefined : value;
}

function record(file: string, report: CheckReport): object {
  return {
    'image-end-offset': count(report.imageEnd),
    'compressed-clusters': count(report.compressedClusters),
    'total-clusters': count(report.totalClusters),
    corruptions: count(report.corruptions),
    'check-errors': 0,
    leaks: count(report.leaks),
    'allocated-clusters': count(report.allocatedClusters),
    filename: file,
    format: report.format,
    'fragmented-clusters': count(report.fragmentedClusters),
  };
}

async function run({
  files,
  flags,
  json,
  control,
  pathPolicy,
  say,
  complain,
}: CommandRun<CheckFlags>): Promise<number> {
  const [file = ''] = files;
  const { format, forceShare } = flags;
  const report = await check(
    file,
    {
      format,
      forceShare,
      pathPolicy,
      onFinding: ({ text }) => {
        process.stderr.write(`${text}\n`);
      },
    },
    control,
  );
  if (!report.supported) {
    const message = `images of format ${report.format} are not checked`;
    complain(new EngineError('UNSUPPORTED_FORMAT', message, { file }));
    return CODES.UNSUPPORTED;
  }
  if (json) say(toJson(record(file, report)));
  else lines(report).forEach(say);
  if (report.corruptions > 0n) return CODES.CORRUPTIONS;
  return report.leaks > 0n ? CODES.LEAKS : CODES.CLEAN;
}

/** `instar check` */
export const checkCommand = defineCommand<CheckFlags>({
  name: 'check',
  about: 'Checks whether the metadata of an image agrees with itself. Nothing is changed.',
  operands: [['<file>', 'the image']],
  options: (command, values) =>
    command
      .option('-f, --format <fmt>', 'format of the image; it is then not probed')
      .option('-q, --quiet', 'print nothing but errors and findings')
      .option('-T, --source-cache <mode>', 'without effect', values.oneOf(CACHE_MODES)),
  notes:
    'Findings are printed on standard error.\n' +
    'Exit codes: 0 no findings, 1 refused or failed, 2 corruptions, 3 leaks only, 63 nothing to check, 130 interrupted.',
  run,
});
