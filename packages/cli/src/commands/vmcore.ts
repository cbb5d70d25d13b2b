import type * as CommanderModule from 'commander';
import type { Command } from 'commander';
import type { Habits } from '../process/habits.js';
import { asCommand, descriptionOf } from './description.js';
import { runProgram } from './run-program.js';
import { dmesg } from './vmcore/dmesg.js';
import { info } from './vmcore/info.js';
import { dumpLive } from './vmcore/live.js';
import { notes } from './vmcore/notes.js';
import { ps } from './vmcore/ps.js';
import { read } from './vmcore/read.js';
import { flattenFile, unflattenFile } from './vmcore/rearrange.js';
import { repair } from './vmcore/repair.js';
import { translate } from './vmcore/translate.js';
import { verify } from './vmcore/verify.js';
import { convert, filter, reassemble, split, wrap } from './vmcore/write.js';
import type { CommandContext, Flags } from './vmcore/flags.js';

type Subcommand = (words: readonly string[], flags: Flags, context: CommandContext) => Promise<number>;

const SUBCOMMANDS: Readonly<Record<string, Subcommand>> = {
  info,
  read,
  translate,
  dmesg,
  ps,
  notes,
  verify,
  convert,
  filter,
  split,
  reassemble,
  wrap,
  repair,
  dump: dumpLive,
  flatten: flattenFile,
  unflatten: unflattenFile,
};

const PARTS = 'a dump (- for standard input), or all parts of a split one';
const LATER = `
Dumps are ELF vmcores and kdump-compressed files, flattened or not, as QEMU, makedumpfile and instar write them. They may
come from strangers. Outputs have mode 0600, appear when they are complete, and replace what had their name; where an
output may be -, it is standard output. Numbers are decimal or 0x…, with K, M, G, T for powers of 1024.

Examples:
  instar vmcore info dump.kdump
  instar vmcore read dump.elf 0x100000 64
  instar vmcore dmesg dump.kdump
  instar vmcore ps dump.kdump
  instar vmcore read --virtual dump.kdump 0xffffffff82000000 64
  instar vmcore convert --to kdump --compress zstd dump.elf dump.kdump
  instar vmcore convert --to raw dump.kdump memory.raw
  instar vmcore filter --begin 1M --length 64K dump.elf part.elf
  instar vmcore filter --exclude zero,cache,user,free dump.elf small.kdump
  instar vmcore split dump.elf part1 part2
  instar vmcore repair broken.kdump whole.kdump
  instar vmcore wrap --machine aarch64 --vmcoreinfo info.txt DDR0.BIN@0x80000000 dump.elf
  ssh host makedumpfile -F /proc/vmcore | instar vmcore convert --to elf - dump.elf
  instar vmcore dump --qmp /run/vm/qmp.sock vm.elf
  ssh host cat dump.flat | instar vmcore unflatten - dump.kdump
`;

const gather = (word: string, words: readonly string[] | undefined): readonly string[] => [...(words ?? []), word];

/** One command for all: what each takes is what differs. */
function parser(
  commander: typeof CommanderModule,
  run: (name: string, words: readonly string[], flags: Flags) => Promise<void>,
): Command {
  const quiet = { writeErr: () => undefined };
  const program = new commander.Command('instar vmcore')
    .description('Guest memory dumps: read, check, convert, filter, split.')
    .exitOverride()
    .configureOutput(quiet)
    .showSuggestionAfterError(false)
    .addHelpText('after', LATER);
  const command = (usage: string, about: string): Command => {
    const [name = ''] = usage.split(' ');
    return program
      .command(usage)
      .description(about)
      .exitOverride()
      .configureOutput(quiet)
      .option('--json', 'the result as JSON on standard output')
      .action(async function action(this: Command) {
        await run(name, this.args, this.opts<Flags>());
      });
  };
  const writing = (usage: string, about: string): Command =>
    command(usage, about)
      .option('--salvage', 'leave out what cannot be read of a dump that is damaged or cut off')
      .option('--machine <name>', 'the machine of a dump that does not name it: x86_64, aarch64, ppc64, …')
      .option('--compress <codec>', 'none, zlib, lzo, snappy or zstd: how the pages of a kdump are stored')
      .option('--threads <count>', 'threads that compress (default: one for each CPU)')
      .option('--no-progress', 'no progress bar on a terminal');
  command('info <files...>', `what a dump is and holds; ${PARTS}`);
  command('read <file> <address> <length>', 'memory as a hexdump')
    .option('--raw', 'the bytes themselves')
    .option('--excluded-as-zeros', 'read memory that was left out of the dump as zeros')
    .option('--virtual', 'the address is one of the kernel, not of physical memory')
    .option('--pgd <address>', 'physical address of the top page table (implies --virtual)')
    .usage('[options] FILE ADDRESS LENGTH');
  command('translate <file> <addresses...>', 'physical addresses of virtual ones')
    .option('--pgd <address>', "physical address of the top page table (default: the kernel's)")
    .usage('[options] FILE ADDRESS...');
  command('dmesg <files...>', "the kernel's log")
    .option('--caller', 'tell which thread or CPU wrote a line')
    .option('--time', 'times of day in UTC, rather than seconds since the kernel started')
    .option('--vmlinux <file>', "the kernel's ELF file, where the dump does not tell its clock (implies --time)")
    .option('--pgd <address>', "physical address of the kernel's top page table");
  command('ps <files...>', "the processes, from the BTF in the dump or the kernel's file")
    .option('--all', 'all threads of each')
    .option('--vmlinux <file>', "the kernel's ELF file, with symbols and BTF or DWARF");
  command('notes <files...>', 'the notes: registers of each CPU, VMCOREINFO, all others by name');
  command('verify <files...>', 'read everything; exit with 1 when something cannot be read').option(
    '--all',
    'name each page that cannot be read',
  );
  writing('convert <words...>', 'INPUT... OUTPUT: write a dump in another format')
    .option('--to <format>', 'elf, kdump, raw memory, or dmp of Windows (default: as the input)')
    .option('--flatten', 'as a flattened stream')
    .option('--zstd', 'the whole output as one zstd stream')
    .option('--raw <file@address>', 'input is raw memory that lies there; may be given again', gather)
    .option('--vmcoreinfo <file>', 'VMCOREINFO for raw memory')
    .usage('[options] INPUT... OUTPUT');
  writing('wrap <words...>', 'FILE@ADDRESS... OUTPUT: raw memory of a --machine as a dump')
    .option('--vmcoreinfo <file>', 'VMCOREINFO of the kernel whose memory it is')
    .option('--to <format>', 'elf or kdump (default: elf)')
    .option('--flatten', 'as a flattened stream')
    .option('--zstd', 'the whole output as one zstd stream')
    .usage('[options] FILE@ADDRESS... OUTPUT');
  writing('filter <words...>', 'INPUT... OUTPUT: write a part of memory')
    .option('--begin <address>', 'first byte of physical memory')
    .option('--length <bytes>', 'bytes of physical memory')
    .option('--exclude <kinds>', 'leave out pages: zero,cache,private,user,free, or the level of makedumpfile -d')
    .option('--to <format>', 'elf, kdump, raw memory, or dmp of Windows (default: as the input)')
    .option('--flatten', 'as a flattened stream')
    .option('--zstd', 'the whole output as one zstd stream')
    .usage('[options] INPUT... OUTPUT');
  writing('split <input> <outputs...>', 'write a dump as several kdump files');
  writing('reassemble <words...>', 'PART... OUTPUT: write the parts of a split dump as one kdump file').usage(
    '[options] PART... OUTPUT',
  );
  command('repair <input> <output>', 'write a damaged kdump anew, with what can be recomputed of it')
    .option('--all', 'name each page that is lost')
    .option('--compress <codec>', 'none, zlib, lzo, snappy or zstd (default: as the input)')
    .option('--threads <count>', 'threads that compress (default: one for each CPU)')
    .option('--flatten', 'as a flattened stream')
    .option('--no-progress', 'no progress bar on a terminal');
  command('dump <output>', 'the memory of a machine that QEMU runs; QEMU writes the file')
    .requiredOption('--qmp <socket>', 'Unix socket of its monitor: -qmp unix:PATH,server=on,wait=off')
    .option('--to <format>', "QEMU's name of it: elf (default), kdump-zlib, kdump-lzo, kdump-snappy")
    .option('--paging', "with the virtual addresses that the guest's page tables map (ELF only)")
    .option('--begin <address>', 'first byte of physical memory (ELF only)')
    .option('--length <bytes>', 'bytes of physical memory')
    .option('--detach', 'return when QEMU has begun')
    .option('--no-progress', 'no progress bar on a terminal');
  command('flatten <input> <output>', 'any dump file as a flattened stream').option(
    '--no-progress',
    'no progress bar on a terminal',
  );
  command('unflatten <input> <output>', 'the file that a flattened stream stands for; the input may be -').option(
    '--no-progress',
    'no progress bar on a terminal',
  );
  return program;
}

async function vmcore(tokens: readonly string[], habits: Habits): Promise<number> {
  return runProgram(
    'vmcore',
    tokens,
    parser,
    async (name, words, flags) => {
      const perform = Object.hasOwn(SUBCOMMANDS, name) ? SUBCOMMANDS[name] : undefined;
      if (perform === undefined) throw new RangeError(`no subcommand ${name}`);
      return perform(words, flags, { signal: habits.interrupt.signal, whyClosed: habits.whyClosed });
    },
    habits,
  );
}

/** `instar vmcore`: returns the exit code. */
export const vmcoreCommand = asCommand(vmcore, async () =>
  descriptionOf(
    parser(await import('commander'), async () => Promise.resolve()),
    LATER,
    { '--compress': ['none', 'zlib', 'lzo', 'snappy', 'zstd'] },
  ),
);
