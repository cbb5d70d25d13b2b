import { EngineError, escapeText } from '@instar/engine';
import { EXIT_CODES } from '../exit-codes.js';
import { defineJobCommand } from './jobs/define.js';
import { jobLine } from './jobs/show.js';
import { recordLine } from '../render/record.js';
import { standardOutput } from '../process/standard-streams.js';

interface StatusFlags {
  readonly failed: number;
}

/** `instar status` */
export const statusCommand = defineJobCommand<StatusFlags>({
  name: 'status',
  about: 'Says what became of jobs, or how many there are in each state.',
  operands: [['[ids...]', 'jobs, as submit printed them; without any, the whole queue']],
  options: (command, values) =>
    command.option('--failed <count>', 'most failed jobs that are shown', values.whole(0, 1000), 10),
  notes:
    'States: waiting, active, done, refused (the image or the job is at fault), failed (kept apart after its attempts),\n' +
    'cancelled. Exit codes: 0 all are known, 1 one is not, or the queue cannot be reached.',
  async run(ids, flags, { queue }) {
    const json = flags.json === true;
    if (ids.length === 0) {
      const counts = await queue.counts();
      const words = Object.entries(counts).map(([state, count]) => `${count} ${state}`);
      standardOutput.write(json ? recordLine({ counts }) : `${words.join(', ')}\n`);
      for (const job of flags.failed === 0 ? [] : await queue.failed(flags.failed))
        standardOutput.write(jobLine(job, json));
      return EXIT_CODES.OK;
    }
    for (const id of ids) {
      const job = await queue.status(id);
      if (job === undefined) throw new EngineError('INVALID_OPTION', `there is no job ${escapeText(id)}`);
      standardOutput.write(jobLine(job, json));
    }
    return EXIT_CODES.OK;
  },
});
