// @generated: `npm run generate`
export const FINGERPRINT_HEX = '77364cf521ecac1b346c871af8db6a7875588c0e8e5ffc3a4b5c36a8ade7716f';
