import { optionProblem, optionSentence } from '@instar/vmm-native';
import * as v from 'valibot';
import { EngineError } from '../errors.js';

/**
 * Checks an argument of a public function, which plain JavaScript may call with anything.
 * @param name what the argument is called in messages
 * @returns it with its numbers as bigints
 * @throws EngineError `INVALID_OPTION` naming the option, what was found and what was expected
 */
export function checked<S extends v.GenericSchema>(schema: S, name: string, value: unknown): v.InferOutput<S> {
  const result = v.safeParse(schema, value, { abortPipeEarly: true });
  if (result.success) return result.output;
  throw new EngineError('INVALID_OPTION', optionSentence(optionProblem(name, result.issues)));
}
