// @generated: `npm run generate`
export const FINGERPRINT_HEX = '17c2b72f9d02e1db0622a153d387eb5a9301eacdc9e8349aeb29a5774e4f79af';
