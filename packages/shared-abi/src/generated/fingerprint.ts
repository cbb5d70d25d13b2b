// @generated: `npm run generate`
export const FINGERPRINT_HEX = '2001cf826c1d3a225f826e7c372543fd54e86225f6aaa0112aed18f547dcd58a';
