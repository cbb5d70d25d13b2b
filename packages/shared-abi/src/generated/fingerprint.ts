// @generated: `npm run generate`
export const FINGERPRINT_HEX = 'b237cf9a971daf72071e7e154198bb570f71f2031610c22d0e1a1568bf075309';
