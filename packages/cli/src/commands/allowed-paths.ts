/** Directories in which images may use files besides those that the command line allows: a list as in `PATH`. */
export function allowedByEnvironment(): readonly string[] {
  const { INSTAR_ALLOW_PATH: list = '' } = process.env;
  return list.split(':').filter((directory) => directory !== '');
}
