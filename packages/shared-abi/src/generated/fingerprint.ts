// @generated: `npm run generate`
export const FINGERPRINT_HEX = '1c3a2dda227b8e23fdf776756d31d86f0d3619225c12607c6a3943c38d480c2b';
