// @generated: `npm run generate`
export const FINGERPRINT_HEX = '669552b3b8154165108e34a0fe1ba188c22a79dab416594c68c0bdd82c8af3b5';
