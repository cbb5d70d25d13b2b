// @generated: `npm run generate`
export const FINGERPRINT_HEX = 'd0a7a58971e844e708be539bae3915179af58bdc117fdae0e809d2eda1806e74';
