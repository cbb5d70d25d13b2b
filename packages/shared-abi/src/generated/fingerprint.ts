// @generated: `npm run generate`
export const FINGERPRINT_HEX = '32350a951ecf36dc3bb3dddc8c0eda32491f5608f2459b832c85d1e28a0fd257';
