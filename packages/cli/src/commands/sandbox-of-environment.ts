/** The sandbox that the environment names, as an option in front of those that are given: these count more. */
export function sandboxOfEnvironment(): readonly string[] {
  const { INSTAR_SANDBOX: kind = '' } = process.env;
  return kind === '' ? [] : [`--sandbox=${kind}`];
}
