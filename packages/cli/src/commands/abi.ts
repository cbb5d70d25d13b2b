import { escapeText } from '@instar/engine';
import type * as CommanderModule from 'commander';
import type { Command } from 'commander';
import { EXIT_CODES } from '../exit-codes.js';
import type { Habits } from '../process/habits.js';
import { asCommand, descriptionOf } from './description.js';
import { decode } from './abi/decode.js';
import { diff } from './abi/diff.js';
import { emit, EMITTERS } from './abi/emit.js';
import { inspect } from './abi/inspect.js';
import { extractedFrom, extractTypes } from './abi/extract.js';
import { show } from './abi/show.js';
import { findTarget, readSource, TARGET_NAMES, usageError, type Source } from './abi/source.js';
import { decodeSpecified, isSpecification, specifiedSource } from './abi/specification.js';
import { runProgram, type Perform } from './run-program.js';
import { standardError, standardOutput } from '../process/standard-streams.js';

interface Flags {
  readonly json?: boolean;
  readonly layout?: boolean;
  readonly target?: string;
  readonly from?: string;
  readonly base?: string;
  readonly to?: string;
  readonly derive?: string;
  readonly cc?: string;
  readonly include: readonly string[];
  readonly define: readonly string[];
  readonly endian?: string;
  readonly atMost?: string;
  readonly compatible: readonly string[];
}

const repeated = (value: string, earlier: readonly string[]): readonly string[] => [...earlier, value];

/** One command for all: which of its words are required is what differs. */
function parser(
  commander: typeof CommanderModule,
  run: (name: string, words: readonly string[], flags: Flags) => Promise<void>,
): Command {
  const program = new commander.Command('instar abi')
    .description('Binary layouts: the ABI between instar’s host and guests, or types of your own.')
    .exitOverride()
    .configureOutput({ writeErr: () => undefined })
    .showSuggestionAfterError(false);
  const from = [
    '--from <file>',
    'types from canonical JSON (emit --to json, extract --layout), a specification of Kaitai (FILE.ksy), or disk-images, which are known, instead of the ABI',
  ] as const;
  const target = ['--target <name>', `${TARGET_NAMES} (default: m64)`] as const;
  const command = (usage: string, about: string): Command => {
    const [name = ''] = usage.split(' ');
    return program
      .command(usage)
      .description(about)
      .exitOverride()
      .configureOutput({ writeErr: () => undefined })
      .action(async function action(this: Command) {
        await run(name, this.args, this.opts<Flags>());
      });
  };
  command('show [types...]', 'list what there is, or draw types')
    .option(...target)
    .option(...from)
    .option('--json', 'as JSON');
  command('emit [types...]', 'write types in another language')
    .requiredOption('--to <language>', EMITTERS.map((item) => item.name).join(', '))
    .option('--derive <crate>', 'zerocopy: types of Rust derive its traits besides')
    .option(...target)
    .option(...from);
  command(
    'diff <older> <newer>',
    'what changed between two versions (1.0, current) or files, and whether that is minor or major',
  )
    .option(...target)
    .option('--at-most <level>', 'exit with 1 when the change is more than none, minor or major')
    .option(
      '--compatible <path>',
      'a type or TYPE.FIELD whose major changes break nobody, as you declare: they count as minor',
      repeated,
      [],
    )
    .option('--json', 'as JSON');
  command(
    'extract <header-and-names...>',
    'ask a compiler of C or C++ how it lays out "struct NAME" of HEADER, what a macro or an enumerator is; nothing is run. ' +
      'With --from, the types are taken out of the BTF or the debug information of FILE instead. ' +
      'What stands behind -- goes to the compiler: -- -include x.h -fpack-struct',
  )
    .option('--cc <compiler>', 'gcc, clang or a program (default: gcc, or clang where there is no gcc for the target)')
    .option(...target)
    .option('--from <file>', 'a program, library, module, object file, vmlinux, or BTF (/sys/kernel/btf/vmlinux)')
    .option('--base <file>', 'what the BTF of a module was split from')
    .option('-I, --include <dir>', 'where headers are', repeated, [])
    .option('-D, --define <macro>', 'NAME or NAME=VALUE', repeated, [])
    .option('--json', 'sizes, offsets and bit positions as JSON')
    .option('--layout', 'canonical JSON for --from');
  command(
    'decode <type> <place>',
    'print the fields of TYPE, TYPE[COUNT] or TYPE[] (to the end) out of FILE, FILE@OFFSET, or - for standard input; ' +
      'with --from FILE.ksy, of a type of that specification, . being what a whole file is',
  )
    .option(...target)
    .option('--endian <order>', 'little or big, whatever the target has')
    .option(...from)
    .option('--json', 'as JSON');
  command('inspect <type> <place> [other]', 'show TYPE in FILE or FILE@OFFSET for a browser, or how two places differ')
    .requiredOption('--html', 'one page with the bytes beside the fields, to standard output')
    .option(...target)
    .option('--endian <order>', 'little or big, whatever the target has')
    .option(...from);
  return program;
}

function noted(note: string): void {
  standardError.write(`instar: abi: note: ${note}\n`);
}

/** Where types come from, and their names by the words for them. */
async function sourceOf(
  from: string | undefined,
  words: readonly string[],
): Promise<{ readonly source: Source; readonly names: readonly string[] }> {
  if (!isSpecification(from)) return { source: await readSource(from), names: words };
  const source = await specifiedSource(from, noted);
  return { source, names: words.map(source.nameOf) };
}

async function perform(
  name: string,
  words: readonly string[],
  flags: Flags,
  { interrupt }: Habits,
  compilerFlags: readonly string[],
): Promise<number> {
  const target = findTarget(flags.target);
  const [first = '', second = ''] = words;
  const json = flags.json === true;
  let text: string;
  switch (name) {
    case 'show': {
      const { source, names } = await sourceOf(flags.from, words);
      text = show(source, names, target, json);
      break;
    }
    case 'emit': {
      const { source, names } = await sourceOf(flags.from, words);
      text = emit(source, { language: flags.to ?? '', derive: flags.derive }, names, target);
      break;
    }
    case 'diff': {
      const { text: found, exceeded } = await diff(first, second, flags, json, target);
      standardOutput.write(found);
      return exceeded ? EXIT_CODES.FAILURE : EXIT_CODES.OK;
    }
    case 'extract': {
      const output = flags.layout === true ? 'layout' : json ? 'json' : 'human';
      if (flags.from !== undefined) {
        const asked = flags.target === undefined ? undefined : target;
        text = extractedFrom({ file: flags.from, types: words, base: flags.base, target: asked }, output);
        break;
      }
      if (words.length < 2) throw usageError('found no name behind the header, expected types such as "struct foo"');
      const { cc: compiler, include: includeDirs, define: defines } = flags;
      text = await extractTypes(
        first,
        words.slice(1),
        { compiler, target, includeDirs, defines, output, compilerFlags },
        interrupt.signal,
      );
      break;
    }
    default: {
      const { endian } = flags;
      if (endian !== undefined && endian !== 'little' && endian !== 'big') {
        throw usageError(`found --endian ${escapeText(endian)}, expected little or big`);
      }
      if (name === 'decode' && isSpecification(flags.from)) {
        text = await decodeSpecified(flags.from, first, second, { endian, json, onNote: noted });
        break;
      }
      const { source, names } = await sourceOf(flags.from, [first]);
      const [type = ''] = names;
      if (name === 'inspect') text = await inspect(source, type, words.slice(1), { target, endian });
      else text = await decode(source, type, second, { target, endian, json });
    }
  }
  standardOutput.write(text);
  return EXIT_CODES.OK;
}

async function abi(tokens: readonly string[], habits: Habits): Promise<number> {
  // `instar abi extract x.h T -- FLAGS`: the compiler's own, which no parser here knows.
  const end = tokens.includes('extract') ? tokens.indexOf('--') : -1;
  // `-@OFFSET` is standard input behind an offset, and no option.
  const own = (end < 0 ? tokens : tokens.slice(0, end)).map((token) => token.replace(/^-@/, '/dev/stdin@'));
  const compilerFlags = end < 0 ? [] : tokens.slice(end + 1);
  const run: Perform<Flags> = (name, words, flags, ours) => perform(name, words, flags, ours, compilerFlags);
  return runProgram('abi', own, parser, run, habits);
}

/** `instar abi`: returns the exit code. */
export const abiCommand = asCommand(abi, async () =>
  descriptionOf(
    parser(await import('commander'), async () => Promise.resolve()),
    '',
    {
      '--endian': ['little', 'big'],
      '--at-most': ['none', 'minor', 'major'],
      '--derive': ['zerocopy'],
      '--to': EMITTERS.map(({ name }) => name),
    },
  ),
);
