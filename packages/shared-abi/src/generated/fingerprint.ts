// @generated: `npm run generate`
export const FINGERPRINT_HEX = '7841433ae984f060045c028b26e02cb71f836d173db86b421768ec45e74ae637';
