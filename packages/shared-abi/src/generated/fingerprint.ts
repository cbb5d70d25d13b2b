// @generated: `npm run generate`
export const FINGERPRINT_HEX = '8a3efa94be2a399c5ad65bcff696a9a89a0d9dcf887a08298a30dccd9951c64f';
