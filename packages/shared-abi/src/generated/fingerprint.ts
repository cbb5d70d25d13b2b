// @generated: `npm run generate`
export const FINGERPRINT_HEX = '905d4a47870574d40faec1e6558c8a12105010c467898956fff47e3c87f4f1a2';
