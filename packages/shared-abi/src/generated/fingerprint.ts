// @generated: `npm run generate`
export const FINGERPRINT_HEX = '97c7a344d32a8822cea615d84d5c612006a070369e06e30983c31260ea8160a9';
