/** Pairs of packages of which the first imports the second, by name; `rust` where that is generated Rust. */
export function importsOfPackages(): readonly { readonly from: string; readonly to: string; readonly rust: boolean }[];
/** The text of the picture. */
export function packagesPicture(): string;
