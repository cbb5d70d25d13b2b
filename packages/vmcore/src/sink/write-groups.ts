import type { OutputFile } from './output-file.js';

/** Groups that are held; IOV_MAX buffers in each. */
const [MOST_GROUPS, MOST_BUFFERS] = [16, 1024];

interface Group {
  readonly start: bigint;
  end: bigint;
  readonly buffers: Uint8Array[];
}

/** Gathers writes that follow each other in the file, however they alternate, so that few calls write many buffers. */
export class WriteGroups {
  readonly #output: OutputFile;
  #groups: Group[] = [];

  constructor(output: OutputFile) {
    this.#output = output;
  }

  /** Adds a write. The buffer must stay as it is until `flush` has resolved. */
  async add(offset: bigint, data: Uint8Array): Promise<void> {
    if (data.length === 0) return;
    const end = offset + BigInt(data.length);
    // What comes later counts: a write over another one waits for it.
    if (this.#groups.some((group) => offset < group.end && group.start < end)) await this.flush();
    const group = this.#groups.find((item) => item.end === offset && item.buffers.length < MOST_BUFFERS);
    if (group !== undefined) {
      group.buffers.push(data);
      group.end = end;
      return;
    }
    if (this.#groups.length === MOST_GROUPS) await this.flush();
    this.#groups.push({ start: offset, end, buffers: [data] });
  }

  /** Writes what was added. */
  async flush(): Promise<void> {
    const groups = this.#groups;
    this.#groups = [];
    for (const { start, buffers } of groups) await this.#output.writeAll(start, buffers);
  }
}
