import { EngineError, escapeText } from '@instar/engine';
import { EXIT_CODES } from '../exit-codes.js';
import { defineJobCommand } from './jobs/define.js';
import { recordLine } from '../render/record.js';
import { standardOutput } from '../process/standard-streams.js';

/** `instar cancel` */
export const cancelCommand = defineJobCommand<object>({
  name: 'cancel',
  about: 'Ends jobs, wherever they are: their sandboxes end, and what was written of the output goes.',
  operands: [['<ids...>', 'jobs, as submit printed them']],
  options: (command) => command,
  notes: 'A worker hears of it within a second. Exit codes: 0 all were cancelled, 1 one had ended, or never was.',
  async run(ids, flags, { queue }) {
    const gone: string[] = [];
    for (const id of ids) {
      const cancelled = await queue.cancel(id);
      if (!cancelled) gone.push(id);
      else if (flags.json === true) standardOutput.write(recordLine({ cancelled: id }));
    }
    if (gone.length === 0) return EXIT_CODES.OK;
    throw new EngineError('INVALID_OPTION', `had ended, or never was: ${gone.map(escapeText).join(', ')}`);
  },
});
