// @generated: `npm run generate`
export const FINGERPRINT_HEX = '63f1e96c28860b3193c242cfc02d12bb9c9ca4ed8155bd36d39d745acadf7c0d';
