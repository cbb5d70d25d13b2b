// @generated: `npm run generate`
export const FINGERPRINT_HEX = '2ecabbd88bf310c6780181af37ebd5a78755a6d4bfaa3485fd10dfbe2f3e0967';
