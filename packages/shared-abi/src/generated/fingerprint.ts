// @generated: `npm run generate`
export const FINGERPRINT_HEX = 'cc369694d8f6d972eed4b072ed4d0ab263c825ad0aaa9bc25c5ef735f01a4a69';
