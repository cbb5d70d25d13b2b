import { EngineError, escapeText, map, type MappedExtent } from '@instar/engine';
import { EXIT_CODES } from '../exit-codes.js';
import { drawMap } from '../map-page/draw.js';
import { OutputFailed } from '../process/lost-reader.js';
import { defineCommand, type CommandRun } from './define-command.js';

interface MapFlags {
  readonly format?: string;
  readonly startOffset?: bigint;
  readonly maxLength?: bigint;
  readonly html?: string;
  readonly svg?: string;
  readonly plot?: boolean;
}

/** Text that is gathered before it is written (characters). */
const PIECE = 1 << 16;

/** Writes to standard output in large pieces, as fast as its reader takes them. */
class Output {
  #text = '';

  async write(text: string): Promise<void> {
    this.#text += text;
    if (this.#text.length >= PIECE) await this.flush();
  }

  async flush(): Promise<void> {
    const text = this.#text;
    this.#text = '';
    if (text === '') return;
    await new Promise<void>((resolve, reject) => {
      process.stdout.write(text, (error) => {
        if (error) reject(new OutputFailed(error));
        else resolve();
      });
    });
  }
}

/** The line of an extent, as qemu-img writes it. */
function record(extent: MappedExtent): string {
  const { start, length, depth, present, zero, data, compressed, offset } = extent;
  const place = offset === undefined ? '' : `, "offset": ${offset}`;
  return (
    `{ "start": ${start}, "length": ${length}, "depth": ${depth}, "present": ${present}, "zero": ${zero}, ` +
    `"data": ${data}, "compressed": ${compressed}${place}}`
  );
}

/** An image without bytes, or a start behind its end, is one extent of length 0. */
function emptyExtent(start: bigint): MappedExtent {
  const nothing = { present: false, zero: false, data: false, compressed: false };
  return { start, length: 0n, depth: 0, ...nothing, offset: undefined, filename: undefined };
}

const WIDTH = 16;

function hex(value: bigint): string {
  return value === 0n ? '0' : `0x${value.toString(16)}`;
}

function columns(...cells: readonly string[]): string {
  return cells.map((cell, index) => (index < cells.length - 1 ? cell.padEnd(WIDTH) : cell)).join('');
}

async function printJson(extents: AsyncIterable<MappedExtent>, start: bigint): Promise<void> {
  const output = new Output();
  let before = '[';
  for await (const extent of extents) {
    await output.write(`${before}${record(extent)}`);
    before = ',\n';
  }
  if (before === '[') await output.write(`[${record(emptyExtent(start))}`);
  await output.write(']\n');
  await output.flush();
}

async function printHuman(extents: AsyncIterable<MappedExtent>, file: string): Promise<void> {
  const output = new Output();
  await output.write(`${columns('Offset', 'Length', 'Mapped to', 'File')}\n`);
  for await (const { start, length, data, zero, offset, filename } of extents) {
    if (!data || zero) continue;
    if (offset === undefined || filename === undefined) {
      await output.flush();
      throw new EngineError(
        'INVALID_OPTION',
        `has compressed clusters (at offset ${start} of its disk), which lie nowhere as they are; use --output=json`,
        { file },
      );
    }
    await output.write(`${columns(hex(start), hex(length), hex(offset), escapeText(filename))}\n`);
  }
  await output.flush();
}

async function run({ files, flags, json, control, pathPolicy }: CommandRun<MapFlags>): Promise<number> {
  const [file = ''] = files;
  const { format, startOffset: start, maxLength: length, forceShare } = flags;
  const { html, svg, plot } = flags;
  if (html !== undefined || svg !== undefined || plot === true) {
    if (start !== undefined || length !== undefined || json) {
      throw new EngineError(
        'INVALID_OPTION',
        '--html, --svg and --plot draw the whole disk: leave -s, -l and --json out',
      );
    }
    await drawMap(file, { html, svg, plot }, { format, forceShare, pathPolicy }, control);
    return EXIT_CODES.OK;
  }
  const extents = map(file, { format, start, length, forceShare, pathPolicy }, control);
  await (json ? printJson(extents, start ?? 0n) : printHuman(extents, file));
  return EXIT_CODES.OK;
}

/** `instar map` */
export const mapCommand = defineCommand<MapFlags>({
  name: 'map',
  about: 'Says what every range of a disk is made of, and where its bytes lie, through all backing images.',
  operands: [['<file>', 'the image']],
  options: (command, values) =>
    command
      .option('-f, --format <fmt>', 'format of the image; it is then not probed')
      .option('-s, --start-offset <offset>', 'first byte of the disk that is mapped', values.size)
      .option('-l, --max-length <size>', 'bytes that are mapped', values.size)
      .option('--html <file>', 'draw the map as a page that needs nothing else; - is standard output')
      .option('--svg <file>', 'draw it as a picture; - is standard output')
      .option('--plot', 'draw the disk as a line for a terminal'),
  notes: 'Exit codes: 0 done, 1 refused or failed, 130 interrupted.',
  readsRemote: true,
  run,
});
