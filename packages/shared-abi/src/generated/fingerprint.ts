// @generated: `npm run generate`
export const FINGERPRINT_HEX = '98fd3b601ad02ed9292899439774390da866b9897ca9965d9bc67ade8546fde5';
