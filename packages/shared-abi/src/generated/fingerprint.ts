// @generated: `npm run generate`
export const FINGERPRINT_HEX = 'f6f9df047b7c1c74190a2d4289254afff244314eb50bbfd1c27a413c30058bf3';
