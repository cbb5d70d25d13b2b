import { prepareSandbox } from '@instar/engine/prepare';
import { sandboxOfEnvironment } from './sandbox-of-environment.js';

/**
 * Has the sandbox of a command line made while its command is loaded and the rest of it looked at, which takes about as
 * long. A file of its own, so that it can begin before that.
 * @param tokens the words of the command line
 */
export function prepareSandboxFor(tokens: readonly string[]): void {
  const words = [...sandboxOfEnvironment(), ...tokens];
  // Guests of these are not among those that can be made ahead.
  const others = ['-h', '--help', '--object', '--passphrase-file', '--dump-on-crash', '--dump-on-signal'];
  const apart = words.some((word) => others.some((other) => word === other || word.startsWith(`${other}=`)));
  if (apart || words.includes('--sandbox') || process.env['INSTAR_TRACE'] !== undefined) return;
  const chosen =
    words
      .filter((word) => word.startsWith('--sandbox='))
      .at(-1)
      ?.slice('--sandbox='.length) ?? 'auto';
  if (chosen === 'auto' || chosen === 'kvm') prepareSandbox(chosen);
}
