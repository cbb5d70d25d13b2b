// @generated: `npm run generate`
export const FINGERPRINT_HEX = '25cb7932502687ff6e8ea4a33fe78a9baee514b46c80b0e1789ec209ddcdd1db';
