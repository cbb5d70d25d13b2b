/** The layout language alone: descriptions, codecs and arithmetic, without the ABI that is written in it. */
export * from './arithmetic/index.js';
export * from './codec/index.js';
export * from './layout/index.js';
