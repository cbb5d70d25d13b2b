// @generated: `npm run generate`
export const FINGERPRINT_HEX = '085b8cab000bedb7f41a5f5f67936e3f99b41c60f1a19faec656b3eec667dfae';
