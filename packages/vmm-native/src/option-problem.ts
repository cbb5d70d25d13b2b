/** What a schema library reports of a value (the part of valibot's issues that is used here). */
export interface SchemaIssue {
  readonly type: string;
  /** What was expected, where the schema says it in words of its own. */
  readonly message: string;
  readonly expected: string | null;
  readonly input: unknown;
  readonly path?: readonly { readonly key?: unknown; readonly value?: unknown }[] | undefined;
  /** Why each of several alternatives was refused. */
  readonly issues?: readonly SchemaIssue[] | undefined;
}

/** What was wrong with an argument. Sentences hold no text of the caller that is not escaped. */
export interface OptionProblem {
  /** Where, as one would write it: `options.limits.cpuMs`. */
  readonly path: string;
  readonly expected: string;
  readonly received: string;
}

const LONGEST_TEXT = 60;

/** A value in few words. */
export function describeValue(value: unknown): string {
  switch (typeof value) {
    case 'string': {
      const shown = value.length > LONGEST_TEXT ? `${value.slice(0, LONGEST_TEXT)}…` : value;
      // Escapes what JSON leaves alone and a terminal does not.
      return JSON.stringify(shown).replaceAll(
        /[\u007f-\u009f\p{Cf}\u2028\u2029]/gu,
        (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
      );
    }
    case 'bigint':
      return `${value}n`;
    case 'number':
    case 'boolean':
    case 'undefined':
      return String(value);
    case 'function':
      return 'a function';
    case 'symbol':
      return 'a symbol';
    default:
      if (value === null) return 'null';
      return Array.isArray(value) ? `an array of ${value.length}` : 'an object';
  }
}

function pathOf(name: string, path: SchemaIssue['path']): string {
  return (path ?? []).reduce<string>((text, { key }) => {
    if (typeof key === 'number') return `${text}[${key}]`;
    const word = String(key);
    return /^[A-Za-z_$][\w$]*$/.test(word) ? `${text}.${word}` : `${text}[${describeValue(word)}]`;
  }, name);
}

/** How deep the path of an issue, or of the deepest within it, leads. */
function depthOf(issue: SchemaIssue): number {
  return (issue.path?.length ?? 0) + Math.max(0, ...(issue.issues ?? []).map(depthOf));
}

/** Whether an issue is about a property that the object should not have. */
function isUnknownKey(issue: Pick<SchemaIssue, 'type' | 'expected'>): boolean {
  return issue.type === 'strict_object' && issue.expected === 'never';
}

/**
 * What a schema of an object says: which options there are where one is unknown, which is missing, or that it is not an object.
 * @param names the options that there are
 */
export function objectMessage(names: readonly string[]): (issue: { readonly expected: string | null }) => string {
  return ({ expected }) => {
    if (expected === 'never') return `no such option; there are ${names.join(', ')}`;
    return expected?.startsWith('"') === true ? 'a value: it is required' : `an object with ${names.join(', ')}`;
  };
}

/**
 * Puts what a schema has found into words. An unknown option comes first: it often is what another one lacks.
 * @param name what the argument is called
 * @param issues at least one
 */
export function optionProblem(name: string, issues: readonly [SchemaIssue, ...SchemaIssue[]]): OptionProblem {
  const issue = issues.find(isUnknownKey) ?? issues[0];
  const path = pathOf(name, issue.path);
  // Of several alternatives that which fits furthest is the one that was meant.
  const inner = (issue.issues ?? []).filter((found) => depthOf(found) > 0).sort((a, b) => depthOf(b) - depthOf(a));
  const [first, ...rest] = inner;
  if (first !== undefined) return optionProblem(path, [first, ...rest]);
  const value = isUnknownKey(issue) ? issue.path?.[issue.path.length - 1]?.value : issue.input;
  return { path, expected: issue.message, received: describeValue(value) };
}

/** As a sentence. */
export function optionSentence({ path, expected, received }: OptionProblem): string {
  return `${path}: found ${received}, expected ${expected}`;
}
