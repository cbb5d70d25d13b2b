// @generated: `npm run generate`
export const FINGERPRINT_HEX = '9fefff23df6e09f8e9078ba8cbbf7884fd54fa16e7133a7cd09fbdf05c837173';
