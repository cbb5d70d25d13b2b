import { prepareSandbox } from '@instar/engine';

/** The sandbox that the environment names, as an option in front of those that are given: these count more. */
export function sandboxOfEnvironment(): readonly string[] {
  const { INSTAR_SANDBOX: kind = '' } = process.env;
  return kind === '' ? [] : [`--sandbox=${kind}`];
}

/**
 * Has the sandbox of a command line made while the rest of it is looked at, which takes about as long.
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
