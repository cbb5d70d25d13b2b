// @generated: `npm run generate`
export const FINGERPRINT_HEX = 'd06989c7bc2f83cb59d4e55f56b5841e3149cb49eab24f80079a0405ee305d0c';
