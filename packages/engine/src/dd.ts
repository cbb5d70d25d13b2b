import { EngineError } from './errors.js';
import { ownStream } from '@instar/host-files';
import { copy } from './copy.js';
import { checkOptions, type DdOptions, type DdRequest, type DdResult, type Endpoint } from './dd-request.js';
import type { OperationControl } from './operation.js';
import { checkControl } from './options/control.js';
import { isInParts } from './output/parts.js';
import { ddFromStream } from './stream.js';

/**
 * Copies a window of an image, as `qemu-img dd` does. The image is parsed inside a sandbox only.
 * @throws EngineError; the output is then as it was before.
 */
export async function dd(options: DdOptions, givenControl: OperationControl = {}): Promise<DdResult> {
  const started = performance.now();
  const checked = checkOptions(options);
  const control = checkControl(givenControl);
  if (isInParts(checked.layout ?? {})) {
    throw new EngineError('INVALID_OPTION', 'layout: a disk in several files is written by convert() and create()');
  }
  const request = await throughOwnStreams(checked, options);
  const { input } = request;
  if ('stream' in input) return ddFromStream(request, input.stream, control, started);
  return copy(request, input, control, started);
}

/** A name that leads to a stream which this process has open (`/dev/stdout` in a pipe) means that stream. */
async function throughOwnStreams(request: DdRequest, options: DdOptions): Promise<DdRequest> {
  const through = async (endpoint: Endpoint, use: 'input' | 'output'): Promise<Endpoint> => {
    const stream = 'path' in endpoint ? await ownStream(endpoint.path, use) : undefined;
    return stream === undefined ? endpoint : { stream };
  };
  const [input, output] = [await through(request.input, 'input'), await through(request.output, 'output')];
  const same = input === request.input && output === request.output;
  return same ? request : checkOptions({ ...options, input, output });
}
