/** The layout language: descriptions, codecs and arithmetic. */
export * from './arithmetic/index.js';
export * from './codec/index.js';
export * from './layout/index.js';
