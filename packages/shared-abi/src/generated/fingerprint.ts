// @generated: `npm run generate`
export const FINGERPRINT_HEX = 'e5dfa74214d88d50e5c3dff00e93a6d388da17eec90e631cc41a46f81ed0d294';
