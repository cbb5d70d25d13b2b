// @generated: `npm run generate`
export const FINGERPRINT_HEX = '484345747bc85b216242d64834dae4de6f1010e42a3c246f0d9a8f414ed5bd7a';
