import type { ValueOf } from '@instar/layout';
import { CHAIN_MAX_DEVICES, ChainConfig, SnapshotChoice, type ChainDevice } from '@instar/shared-abi';
import type { CommandFailure, LimitOptions } from '@instar/vmm-native';
import { EngineError } from '../errors.js';
import { withDictionaryMemory } from '../secrets.js';
import { MAX_CHAIN_DEPTH, type GuestContext, type GuestDevice } from './context.js';
import { checkOutcome } from './outcome.js';
import { GuestRun, isEnd, throwIfAborted, type GuestAnswer } from './run.js';

/** A request to a guest. */
export interface GuestRequest {
  /** Encoded config of the operation. */
  readonly config: Uint8Array;
  /** File that it is about, for messages. */
  readonly subject: string;
  /**
   * No other follows: the answer comes once the guest has ended, so that nothing it could still do changes what it wrote.
   */
  readonly last: boolean;
  /** Most bytes that outputs receive. */
  readonly outputBytes?: bigint;
  readonly onProgress?: GuestContext['onProgress'];
}

/** How a session runs. */
export interface SessionOptions {
  readonly inOrder?: boolean;
  readonly secondProcessor?: boolean;
  readonly meanwhile?: (() => void) | undefined;
}

/** What came of a request. */
export interface SessionAnswer {
  /** The result region as the guest left it. */
  readonly result: Uint8Array;
  /** Commands that failed, whatever the guest says. */
  readonly failures: readonly CommandFailure[];
}

/**
 * One guest for all requests of an operation, and the files that it may use: they are added as they come to be known. The
 * files must stay open until the session is closed.
 */
export class GuestSession {
  #context: GuestContext;
  readonly #inOrder: boolean;
  #secondProcessor: boolean;
  readonly #devices: GuestDevice[] = [];
  /** How many of the devices the guest has. */
  #attached = 0;
  #run: GuestRun | undefined;
  #snapshot = SnapshotChoice.zero();
  #meanwhile: (() => void) | undefined;

  /**
   * @param options.inOrder an output is a stream, whose bytes must come one after the other
   * @param options.secondProcessor the guest has work that two processors share
   * @param options.meanwhile is called while the guest works on its first request, for what will be needed later
   */
  constructor(context: GuestContext, { inOrder = false, secondProcessor = false, meanwhile }: SessionOptions = {}) {
    this.#context = context;
    this.#inOrder = inOrder;
    this.#secondProcessor = secondProcessor;
    this.#meanwhile = meanwhile;
  }

  /** Whether the guest runs. */
  get started(): boolean {
    return this.#run !== undefined;
  }

  /** How its guests run. */
  get context(): GuestContext {
    return this.#context;
  }

  /**
   * Ends the guest; the next one has memory for the largest dictionaries of packed files.
   * @returns false where it had that already
   */
  async giveMemory(): Promise<boolean> {
    const secrets = withDictionaryMemory(this.#context.secrets);
    if (secrets === this.#context.secrets) return false;
    await this.close();
    this.#attached = 0;
    this.#context = { ...this.#context, secrets };
    return true;
  }

  /** Has the guest share its work with a second processor. Only before it is started. */
  shareWork(): void {
    if (this.started) throw new RangeError('the guest runs already');
    this.#secondProcessor = true;
  }

  /** By the index that requests and results use. */
  get devices(): readonly GuestDevice[] {
    return this.#devices;
  }

  /**
   * Adds a file. Returns its index.
   * @throws EngineError `CHAIN_TOO_DEEP`
   */
  add(device: GuestDevice): number {
    if (this.#devices.length >= CHAIN_MAX_DEVICES) {
      throw new EngineError('CHAIN_TOO_DEEP', `its files are more than ${CHAIN_MAX_DEVICES - 1}`, {
        file: device.path,
      });
    }
    this.#devices.push(device);
    return this.#devices.length - 1;
  }

  /** Says anew what a file is to the requests that follow. */
  describe(index: number, entry: Partial<ValueOf<typeof ChainDevice>>): void {
    const device = this.#devices[index];
    if (device === undefined) throw new RangeError(`no device ${index}`);
    this.#devices[index] = { ...device, entry: { ...device.entry, ...entry } };
  }

  /** Has an internal snapshot read in the place of the image, from the next request on. */
  chooseSnapshot(choice: ValueOf<typeof SnapshotChoice>): void {
    this.#snapshot = choice;
  }

  /**
   * Asks the guest, and starts it where it does not run.
   * @throws EngineError where no sandbox works, the guest did not end as it should, or the operation was aborted
   */
  async request(request: GuestRequest): Promise<SessionAnswer> {
    const { signal } = this.context;
    throwIfAborted(signal);
    const asked = this.#run === undefined ? this.#start(request) : this.#next(this.#run, request);
    this.#meanwhile?.();
    this.#meanwhile = undefined;
    const answer = await asked;
    if (isEnd(answer)) this.#run = undefined;
    throwIfAborted(signal);
    if (isEnd(answer)) checkOutcome(answer, request.subject);
    return answer;
  }

  /** Ends the guest, if it runs. */
  async close(): Promise<void> {
    const run = this.#run;
    this.#run = undefined;
    // However it ends: what it was asked has been answered.
    await run?.end().catch(() => undefined);
  }

  async #start({ config, last, outputBytes, onProgress }: GuestRequest): Promise<GuestAnswer> {
    const { limits: given, writeRate, reflink } = this.context;
    const { maxVirtualSize: _, maxOutputSize: __, keyMemory: ___, ...bounds } = given;
    const limits: LimitOptions = {
      ...bounds,
      ...(outputBytes === undefined ? {} : { outputBytes }),
      ...(writeRate === undefined ? {} : { writeRate }),
      ...(reflink === 'never' ? { copiesByHand: true } : {}),
    };
    const first = {
      chainConfig: this.#chainConfig(),
      operationConfig: config,
      devices: this.#devices.map(({ options }) => options),
      limits,
      // A guest that answers once only looks at metadata, piece by piece: there is nothing to do at the same time.
      ...(last ? { ioThreads: 0 } : this.#inOrder ? { ioThreads: 1 } : {}),
    };
    const options = { goesOn: !last, secondProcessor: this.#secondProcessor };
    const { run, answer } = await GuestRun.start(first, options, this.context, onProgress);
    this.#attached = this.#devices.length;
    this.#run = run;
    return answer;
  }

  async #next(run: GuestRun, { config, last, outputBytes, onProgress }: GuestRequest): Promise<GuestAnswer> {
    run.control.request({
      chainConfig: this.#chainConfig(),
      operationConfig: config,
      devices: this.#devices.slice(this.#attached).map(({ options }) => options),
      last,
      ...(outputBytes === undefined ? {} : { outputBytes }),
    });
    this.#attached = this.#devices.length;
    return run.telling(onProgress, async () => (last ? run.end() : run.answer()));
  }

  #chainConfig(): Uint8Array {
    return ChainConfig.encode({
      device_count: this.#devices.length,
      max_depth: MAX_CHAIN_DEPTH,
      devices: this.#devices.map((device) => device.entry),
      snapshot: this.#snapshot,
    });
  }
}
