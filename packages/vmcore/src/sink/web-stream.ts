import { Writable } from 'node:stream';

/**
 * A stream of the Web as one of Node.js. Who reads it keeps what it is given, and a writer of dumps uses its buffers again: it
 * gets bytes of its own.
 * @param stream to which nobody else writes
 */
export function nodeWritable(stream: WritableStream<Uint8Array>): Writable {
  const writer = stream.getWriter();
  // What became of it is told by each call.
  writer.closed.catch(() => undefined);
  return new Writable({
    write(bytes: Uint8Array, _encoding, done) {
      writer.ready
        .then(async () => writer.write(Uint8Array.from(bytes)))
        .then(() => {
          done();
        }, done);
    },
    final(done) {
      writer.close().then(() => {
        done();
      }, done);
    },
    destroy(error, done) {
      const ended = (): void => {
        done(error);
      };
      // Of a stream that was closed this changes nothing.
      writer.abort(error ?? undefined).then(ended, ended);
    },
  });
}
