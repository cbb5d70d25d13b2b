// @generated: `npm run generate`
export const FINGERPRINT_HEX = '6703a295e61ce7ef1df6ca11dd878b6448f7975262a5d8a39f74a94e8466f7cc';
