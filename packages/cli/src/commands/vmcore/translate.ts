import { EXIT_CODES } from '../../exit-codes.js';
import { dumpJson, hexText } from './dump-json.js';
import { addressOf, withDump, type CommandContext, type Flags } from './flags.js';
import { standardOutput } from '../../process/standard-streams.js';

/** `instar vmcore translate`. */
export async function translate(words: readonly string[], flags: Flags, context: CommandContext): Promise<number> {
  const [file = '', ...addresses] = words;
  const pgd = flags.pgd === undefined ? undefined : addressOf(flags.pgd, '--pgd');
  const wanted = addresses.map((word) => addressOf(word, 'ADDRESS'));
  return withDump([file], context, async (dump) => {
    const found: object[] = [];
    for (const address of wanted) {
      const { physical, pageSize, level } = await dump.translate(address, { pgd });
      if (flags.json === true) {
        found.push({ virtual: hexText(address), physical: hexText(physical), 'page-size': pageSize, level });
      } else {
        standardOutput.write(`${hexText(address)}  ${hexText(physical)}  page of ${pageSize} bytes (${level})\n`);
      }
    }
    if (flags.json === true) standardOutput.write(`${dumpJson({ translations: found })}\n`);
    return EXIT_CODES.OK;
  });
}
