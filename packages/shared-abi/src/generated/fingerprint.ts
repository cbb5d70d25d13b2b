// @generated: `npm run generate`
export const FINGERPRINT_HEX = '12bb117c522fbc4801a46ef32f6f76385725911a5ba1e5392601f2eed10ab2c3';
