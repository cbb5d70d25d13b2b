export {
  add,
  and,
  ArithmeticError,
  compare,
  divide,
  divideUp,
  modulo,
  multiply,
  negate,
  not,
  or,
  power,
  shiftLeft,
  shiftRight,
  subtract,
  xor,
} from './operators.js';
export { cast, fromInteger, operand, toInteger, toValue, typed } from './typed-integer.js';
export type { Operand, TypedInteger } from './typed-integer.js';
