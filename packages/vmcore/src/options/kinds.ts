import { objectMessage, optionProblem, optionSentence } from '@instar/vmm-native';
import * as v from 'valibot';
import { VmcoreError } from '../errors.js';

/** One schema for each field of an option type: a field that is added to the type must be added here. */
export type Fields<T> = { readonly [K in keyof Required<T>]: v.GenericSchema };

/** An object with these fields and no others. */
export function options<const E extends v.ObjectEntries>(
  entries: E,
): v.StrictObjectSchema<E, (issue: v.StrictObjectIssue) => string> {
  return v.strictObject(entries, objectMessage(Object.keys(entries)));
}

/** An address or a count of bytes; a number where it is exact. What it may be is checked where it is used. */
export const integer = (() => {
  const what = 'an integer (a bigint, or a number that is exact)';
  return v.pipe(
    v.union([v.bigint(), v.pipe(v.number(), v.safeInteger(what))], what),
    v.transform((value) => BigInt(value)),
  );
})();

export const fileName = v.pipe(
  v.string('the name of a file'),
  v.nonEmpty('the name of a file, which is not empty'),
  v.check((text) => !text.includes('\0'), 'the name of a file, without a zero byte'),
);

export const fileNames = v.array(fileName, 'an array of names of files');
export const bytes = v.instance(Uint8Array, 'a Uint8Array');
export const yesNo = v.boolean('true or false');
export const word = v.string('a string');
export const count = v.number('a number');

/** A function of any kind. */
export const callback = v.custom<(...values: never[]) => void>((value) => typeof value === 'function', 'a function');

/** An object that has some methods, whatever else it has. */
export function withMethods<T extends object>(
  what: string,
  ...names: readonly (keyof T & string)[]
): v.GenericSchema<T> {
  return v.custom<T>(
    (value) =>
      typeof value === 'object' &&
      value !== null &&
      names.every((name) => typeof (value as Readonly<Record<string, unknown>>)[name] === 'function'),
    what,
  );
}

export const abortSignal = withMethods<AbortSignal>('an AbortSignal', 'addEventListener', 'throwIfAborted');

/** One of some words. */
export function oneOf<const T extends readonly [string, ...string[]]>(...words: T): v.PicklistSchema<T, string> {
  return v.picklist(words, words.map((item) => `'${item}'`).join(' or '));
}

/**
 * Checks an argument of a public function, which plain JavaScript may call with anything.
 * @param name what the argument is called in messages
 * @returns it with its numbers as bigints
 * @throws VmcoreError `INVALID_OPTION` naming the option, what was found and what was expected
 */
export function checked<S extends v.GenericSchema>(schema: S, name: string, value: unknown): v.InferOutput<S> {
  const result = v.safeParse(schema, value, { abortPipeEarly: true });
  if (result.success) return result.output;
  const problem = optionProblem(name, result.issues);
  const { path: field, received: found, expected } = problem;
  throw new VmcoreError('INVALID_OPTION', optionSentence(problem), { option: { field, found, expected } });
}
