// @generated: `npm run generate`
export const FINGERPRINT_HEX = '382edc63f502eeb42de784e2681a75aedab19183729fdce801ebc00aa4c7b8b2';
