// @generated: `npm run generate`
export const FINGERPRINT_HEX = 'c31f88cfc06ef29286c3d01ac23e451c6ad3141a1ba6c405cce20517a8576011';
