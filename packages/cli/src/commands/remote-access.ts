import { EngineError, type RemoteAccess } from '@instar/engine';

/** What a command line says of other machines. */
export interface RemoteFlags {
  readonly allowHost?: readonly string[];
  readonly allowInsecure?: boolean;
}

/** Options of commands that read from other machines as well, as help shows them. */
export const REMOTE_OPTIONS = [
  ['--allow-host', 'host', 'let a URL redirect to this host (or *.domain, host:port) as well; may be repeated'],
  ['--allow-insecure', undefined, 'read http:// of other machines, which anyone on the way can change'],
] as const;

/**
 * How names of other machines are reached. What authorises is in the environment only: a list of processes shows
 * command lines.
 */
export function remoteAccess({ allowHost = [], allowInsecure = false }: RemoteFlags): RemoteAccess {
  // The client for S3 warns of versions of node that this project supports, on each start.
  process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';
  const { INSTAR_ALLOW_HOST: hosts = '', INSTAR_HTTP_AUTHORIZATION: authorization } = process.env;
  return {
    allowedHosts: [...allowHost, ...hosts.split(',').filter((host) => host !== '')],
    allowInsecure,
    ...(authorization === undefined ? {} : { authorization }),
  };
}

/**
 * Takes the options of other machines out of a command line.
 * @throws EngineError `INVALID_OPTION` when one has no value
 */
export function takeRemoteFlags(tokens: readonly string[]): {
  readonly rest: readonly string[];
  readonly remote: RemoteFlags;
} {
  const rest: string[] = [];
  const allowHost: string[] = [];
  let allowInsecure = false;
  for (let index = 0; index < tokens.length; index += 1) {
    const token = tokens[index] ?? '';
    if (token === '--allow-insecure') allowInsecure = true;
    else if (token === '--allow-host' || token.startsWith('--allow-host=')) {
      const value = token === '--allow-host' ? tokens[(index += 1)] : token.slice('--allow-host='.length);
      if (value === undefined || value === '') throw new EngineError('INVALID_OPTION', '--allow-host needs a host');
      allowHost.push(value);
    } else rest.push(token);
  }
  return { rest, remote: { allowHost, allowInsecure } };
}
