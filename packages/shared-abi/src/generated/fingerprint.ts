// @generated: `npm run generate`
export const FINGERPRINT_HEX = 'fa595523929ac5581f271b0dc6af1039617695ee5f01ee289ba7b212508b4e45';
