import { EngineError } from './errors.js';
import { ownStream } from '@instar/host-files';
import { copy, type CopyRequest } from './copy.js';
import { checkOptions, type DdOptions, type DdRequest, type DdResult, type Endpoint } from './dd-request.js';
import type { OperationControl } from './operation.js';
import { checkControl } from './options/control.js';
import { isInParts } from './output/parts.js';
import { isRemoteName, shownName } from './remote/names.js';
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
  if (control.remote !== undefined && 'path' in checked.output && isRemoteName(checked.output.path)) {
    const { path: upload } = checked.output;
    return copy(
      await uploading(checkOptions({ ...options, output: PLACE_OF_UPLOAD }), upload),
      checked.input,
      control,
      started,
    );
  }
  const request = await throughOwnStreams(checked, options);
  const { input } = request;
  if ('stream' in input) return ddFromStream(request, input.stream, control, started);
  return copy(request, input, control, started);
}

/** What an output that is sent to another machine is checked as: a stream. */
export const PLACE_OF_UPLOAD: Endpoint = { stream: 1 };

/**
 * A request whose output is an object of another machine.
 * @throws EngineError `INVALID_OPTION`
 */
export async function uploading(request: DdRequest, upload: string): Promise<CopyRequest> {
  const { checkRemoteOutput } = await import('./remote/s3-upload.js');
  checkRemoteOutput(upload);
  if ('stream' in request.input) {
    throw new EngineError(
      'INVALID_OPTION',
      'a stream is written to a file or a stream; instar convert - saves it first',
    );
  }
  return { ...request, output: { stream: -1 }, upload, outputName: shownName(upload) };
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
