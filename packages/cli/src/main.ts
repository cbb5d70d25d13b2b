import { readFileSync } from 'node:fs';
import { escapeText } from '@instar/host-files/text';
import { loadCommand } from './commands/load.js';
import { COMMANDS, RUN_GUESTS, type CommandName } from './commands/names.js';
import { prepareSandboxFor } from './commands/prepare-sandbox.js';
import { exactArguments } from './exact-arguments.js';
import { EXIT_CODES } from './exit-codes.js';
import { habitsOf, type Habits } from './process/habits.js';
import { dieOf, endAsInterrupted, handleSignals } from './process/signals.js';
import {
  finishStandardStreams,
  standardError,
  standardOutput,
  watchStandardStreams,
} from './process/standard-streams.js';
import { startOf, type Start } from './process/start.js';
import type * as QemuImgModule from './qemu-img/main.js';
import type { Program } from './voice.js';
import { adviceOnCommand, adviceOnOption } from './words/advice.js';

const HELP = `Usage: instar COMMAND [ARGUMENT]...

Disk-image tooling that is safe on images from strangers: images are parsed inside a sandbox only.

Commands:
  dd      copy a window of an image, as qemu-img dd does
  info    say what an image is, and whether it is safe
  map     say what every range of a disk is made of, and where it lies
  check   say whether the metadata of an image agrees with itself
  compare say whether two images hold the same disk
  measure say how long an output becomes
  convert copy a disk into an image of another format
  create  create an image of an empty disk
  amend   change options of an image
  bench   measure how fast a disk is read or written
  bitmap  add, remove, clear, enable, disable or merge bitmaps
  commit  copy what an image holds into the image below it
  rebase  give an image another backing file
  resize  give the disk of an image another size
  snapshot list, take, apply or delete internal snapshots
  worker  take jobs of a queue and do them
  submit  queue a job: convert, inspect, compare, checksum
  status  say what became of jobs
  cancel  end jobs
  doctor  say which sandbox works on this machine
  completion  complete command lines in bash, zsh or fish
  abi     show, write, compare, extract and decode binary layouts
  vmcore  read, check, convert, filter and split guest memory dumps

instar help COMMAND tells more of a command; instar --version prints the version.
`;

/** Runs a command. */
async function run(name: CommandName, tokens: readonly string[], habits: Habits): Promise<number> {
  if ((RUN_GUESTS as readonly string[]).includes(name)) prepareSandboxFor(tokens);
  return loadCommand(name, import.meta.dirname)(tokens, habits);
}

function isCommand(name: string): name is CommandName {
  return (COMMANDS as readonly string[]).includes(name);
}

function version(): string {
  const text = readFileSync(`${import.meta.dirname}/../package.json`, 'utf8');
  const manifest: unknown = JSON.parse(text);
  const found = typeof manifest === 'object' && manifest !== null && 'version' in manifest ? manifest.version : '';
  return String(found);
}

function unknown(name: string): string {
  const option = name.startsWith('-');
  const known = option ? ['--help', '--version'] : [...COMMANDS, 'help'];
  const advice = option ? adviceOnOption('', name, known) : adviceOnCommand(name, known);
  return `unknown ${option ? 'option' : 'command'} '${escapeText(name)}'${advice}`;
}

async function dispatch([name, ...tokens]: readonly string[], habits: Habits): Promise<number> {
  const [topic] = tokens;
  if (name === 'help' && topic !== undefined && !topic.startsWith('-')) {
    return dispatch([...tokens, '--help'], habits);
  }
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    (name === undefined ? standardError : standardOutput).write(HELP);
    return name === undefined ? EXIT_CODES.FAILURE : EXIT_CODES.OK;
  }
  if (name === '--version' || name === '-V') {
    standardOutput.write(`instar ${version()}\n`);
    return EXIT_CODES.OK;
  }
  if (!isCommand(name)) {
    standardError.write(`instar: ${unknown(name)}; see instar --help\n`);
    return EXIT_CODES.FAILURE;
  }
  return run(name, tokens, habits);
}

/** Exit code of a command that is done, and whose output cannot be written: one that is no result of it. */
function codeOfUntold(name: string | undefined): number {
  return name === 'compare' ? EXIT_CODES.NOT_COMPARED : EXIT_CODES.FAILURE;
}

/** Runs a command line of qemu-img. */
async function dispatchAsQemuImg([name, ...tokens]: readonly string[], how: Start): Promise<number> {
  const { qemuImgCommand, QEMU_IMG_VOICE } = (await import(
    `${import.meta.dirname}/qemu-img.cjs`
  )) as typeof QemuImgModule;
  const choice = qemuImgCommand(name, version());
  if ('exitCode' in choice) return choice.exitCode;
  return run(choice.command, tokens, habitsOf(how, QEMU_IMG_VOICE));
}

/**
 * Runs one command line (without node and script) and ends the process.
 * @param start what the launcher in front of node saw of how the process was started
 * @param program whose command line it is
 */
export async function main(tokens: readonly string[], start?: string, program: Program = 'instar'): Promise<void> {
  const how = startOf(start);
  handleSignals(how.ignored);
  watchStandardStreams(how);
  const words = exactArguments(tokens);
  const exitCode = await (program === 'qemu-img' ? dispatchAsQemuImg(words, how) : dispatch(words, habitsOf(how)));
  const outcome = await finishStandardStreams(program);
  endAsInterrupted(exitCode);
  // As a program that does not handle SIGPIPE: no word, and a status that no script takes for success.
  if (outcome === 'lost-reader' || exitCode === EXIT_CODES.LOST_READER) dieOf('SIGPIPE');
  // At once: while node takes itself down it no longer handles signals, and one that came then would end a command that is
  // done as if it were not.
  process.exit(outcome === 'failed' && exitCode === EXIT_CODES.OK ? codeOfUntold(words[0]) : exitCode);
}
