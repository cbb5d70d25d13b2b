// @generated: `npm run generate`
export const FINGERPRINT_HEX = 'e6047813e99e236f645942b2ce9e23b8e467201a6dd97f7ed39a7ecb7d13afcf';
