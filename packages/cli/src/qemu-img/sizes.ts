const SUFFIXES =
  'Optional suffix k, M, G, T, P or E means kilo-, mega-, giga-, tera-, peta-\nand exabytes, respectively.';

/** What is said of a size that is none. */
export function noSize(name: string): string {
  return `Parameter '${name}' expects a non-negative number below 2^64\n${SUFFIXES}`;
}
