import { MAX_SIZE } from '@instar/operands';
import { objectMessage } from '@instar/vmm-native';
import * as v from 'valibot';

/** One schema for each field of an option type: a field that is added to the type must be added here. */
export type Fields<T> = { readonly [K in keyof Required<T>]: v.GenericSchema };

type Options<E extends v.ObjectEntries> = v.StrictObjectSchema<E, (issue: v.StrictObjectIssue) => string>;

/** An object with these fields and no others. They are put together when it is used first: a program uses few of all that there are. */
export function options<const E extends v.ObjectEntries>(entries: () => E): v.LazySchema<Options<E>> {
  let made: Options<E> | undefined;
  const make = (fields: E): Options<E> => v.strictObject(fields, objectMessage(Object.keys(fields)));
  return v.lazy(() => (made ??= make(entries())));
}

/** A size or an offset in bytes, or a count of blocks; a number where it is exact. */
export function size(least = 0n, most = MAX_SIZE): v.GenericSchema<bigint | number, bigint> {
  const what = `an integer from ${least} to ${most} (a bigint, or a number that is exact)`;
  return v.pipe(
    v.union([v.bigint(), v.pipe(v.number(), v.safeInteger(what))], what),
    v.transform((value) => BigInt(value)),
    v.check((value) => value >= least && value <= most, what),
  );
}

/** A whole number within bounds. */
export function whole(least: number, most: number): v.GenericSchema<number> {
  const what = `an integer from ${least} to ${most}`;
  return v.pipe(v.number(what), v.integer(what), v.minValue(least, what), v.maxValue(most, what));
}

/** Milliseconds; 0 stands for the default. */
export const milliseconds = (() => {
  const what = 'milliseconds: an integer from 0 to 4294967295';
  return v.pipe(v.number(what), v.integer(what), v.minValue(0, what), v.maxValue(0xffff_ffff, what));
})();

/** A name of a file. */
export const fileName = v.pipe(
  v.string('a path'),
  v.nonEmpty('a path that is not empty'),
  v.check((text) => !text.includes('\0'), 'a path without a zero byte'),
);

/** Names of files, in whatever can be gone through but one text, whose letters are no names. */
export const fileNames = v.custom<Iterable<string> | AsyncIterable<string>>(
  (value) => typeof value === 'object' && value !== null && (Symbol.iterator in value || Symbol.asyncIterator in value),
  'a list of paths',
);

export const yesNo = v.boolean('true or false');

export const callback = v.custom<(...values: never[]) => void>((value) => typeof value === 'function', 'a function');

/** An AbortSignal, also one of another realm. */
export const abortSignal = v.custom<AbortSignal>(
  (value) =>
    typeof value === 'object' &&
    value !== null &&
    'aborted' in value &&
    typeof value.aborted === 'boolean' &&
    'addEventListener' in value &&
    typeof value.addEventListener === 'function',
  'an AbortSignal',
);

/** One of some words. */
export function oneOf<const T extends readonly [string, ...string[]]>(...words: T): v.PicklistSchema<T, string> {
  return v.picklist(words, words.map((word) => `'${word}'`).join(' or '));
}
