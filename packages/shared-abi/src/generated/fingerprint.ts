// @generated: `npm run generate`
export const FINGERPRINT_HEX = 'fea9598583f8e28af067ac2d346f65b2b8d17519795fc9d9c5fd1ac46d8097ff';
