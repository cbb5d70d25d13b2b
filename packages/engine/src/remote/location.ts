import { EngineError } from '../errors.js';
import { shownUrl } from './names.js';

/** A name that leads to no file of this machine. */
export type Location =
  { readonly kind: 'http'; readonly url: URL } | { readonly kind: 's3'; readonly bucket: string; readonly key: string };

/**
 * Takes a name apart.
 * @throws EngineError `INVALID_OPTION`; the message holds no password
 */
export function parseLocation(name: string): Location {
  // The parser of URLs knows no s3: what it would mend stands for itself in a key.
  const [isS3, bucket = '', key = ''] = /^s3:\/\/([^/]*)\/?(.*)$/is.exec(name) ?? [];
  if (isS3 !== undefined) {
    if (bucket !== '' && key !== '' && !bucket.includes('@')) return { kind: 's3', bucket, key };
    throw new EngineError('INVALID_OPTION', 'names no object: write s3://bucket/key', { file: 's3://…' });
  }
  let url: URL;
  try {
    url = new URL(name);
  } catch {
    // What is no URL may hold a password all the same, and so does the error.
    throw new EngineError('INVALID_OPTION', 'is not a URL', { file: name.replace(/\/\/.*/s, '//…') });
  }
  if (url.username !== '' || url.password !== '') {
    const what =
      'holds a user name or a password, which everybody who lists processes would see; the header that authorises is an ' +
      'option of its own (INSTAR_HTTP_AUTHORIZATION)';
    throw new EngineError('INVALID_OPTION', what, { file: shownUrl(url) });
  }
  return { kind: 'http', url };
}
