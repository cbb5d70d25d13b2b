// @generated: `npm run generate`
export const FINGERPRINT_HEX = 'f20645f33a06afd7a98be6fd9fedf643a15e12f063b1417b4839336792351a41';
