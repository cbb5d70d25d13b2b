// @generated: `npm run generate`
export const FINGERPRINT_HEX = 'ab66878a9d2d35d5cdb7cb96fa958d3392cc48fb5f8a56933622307af27d5a20';
