import { makeUnsized } from './unsized.js';

/** What enters the code of parts without a fixed size, once one is described. */
export const variableKind = { codec: makeUnsized };
