// @generated: `npm run generate`
export const FINGERPRINT_HEX = '87a8944e44745dc0d77c37dc602524acfad3a24b277f07993c286e343bdc3187';
