// @generated: `npm run generate`
export const FINGERPRINT_HEX = '3c79a5c5aaabf07278c7c3aa997b3521393b9514794b11ea61496828a2ae25b0';
