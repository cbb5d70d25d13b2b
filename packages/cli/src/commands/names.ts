/** Commands that run a guest at once. */
export const RUN_GUESTS = [
  'dd',
  'info',
  'map',
  'check',
  'compare',
  'measure',
  'convert',
  'create',
  'amend',
  'bench',
  'bitmap',
  'commit',
  'rebase',
  'resize',
  'snapshot',
] as const;

/** The commands; each is a module of its name beside this one, and a file of its own when built. */
export const COMMANDS = [
  ...RUN_GUESTS,
  'worker',
  'submit',
  'status',
  'cancel',
  'doctor',
  'completion',
  'abi',
  'vmcore',
] as const;

/** The name of a command. */
export type CommandName = (typeof COMMANDS)[number];
