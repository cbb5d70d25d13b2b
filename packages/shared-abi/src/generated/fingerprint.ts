// @generated: `npm run generate`
export const FINGERPRINT_HEX = '014ea40dfa887fd05302999ae082504263eec5ce33d4e0ae1d8b732b35fa7577';
