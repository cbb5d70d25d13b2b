// The traits of the crate `zerocopy`, derived: its own checks, made when it is compiled, are the judge.
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { requireJudge, skipLoudly } from '../../../../tests/support/judge.js';
import { Random } from '../../../../tests/support/random.js';
import { rustEmitter, type NamedDescription } from '../../src/emit/index.js';
import { bool, codec, struct, u16, u32, u64, u8, x86_64 } from '../../src/index.js';
import { CASES, inFolder, RUSTC, SEED } from '../support/compilers.js';
import { EVERY_KIND } from '../support/every-kind.js';
import { randomTypes } from '../support/random-c-types.js';

const MANIFEST = `[package]
name = "derived"
version = "0.1.0"
edition = "2021"
[dependencies]
zerocopy = { version = "0.8", features = ["derive"] }
[workspace]
`;
const Padded = struct('Padded', { a: u8, b: u32, c: u64, d: u16 });
const Flag = struct('Flag', { on: bool, number: u16 });

function derived(types: readonly NamedDescription[], sets = EVERY_KIND.sets): string {
  const unit = { title: 'types', regions: [], constants: [], sets, types };
  // Inside a program the file is a module: attributes of a crate do not belong there.
  return rustEmitter.emit(unit, { target: x86_64, derive: 'zerocopy' }).replace('#![no_std]\n', '');
}

/** Builds and runs a program; its errors, or what it prints. */
function ran(folder: string, modules: Readonly<Record<string, string>>, main: string): string {
  mkdirSync(join(folder, 'src'));
  writeFileSync(join(folder, 'Cargo.toml'), MANIFEST);
  for (const [name, text] of Object.entries(modules)) writeFileSync(join(folder, `src/${name}.rs`), text);
  writeFileSync(join(folder, 'src/main.rs'), main);
  const { stdout, stderr } = spawnSync('cargo', ['run', '--quiet'], {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, RUSTFLAGS: '--cap-lints allow' },
  });
  return `${stdout}${stderr}`;
}

describe('types of Rust that derive what zerocopy has', () => {
  it('are taken, random ones and one of each kind, and read bytes in place', { timeout: 240_000 }, async (context) => {
    requireJudge(context, RUSTC);
    await inFolder((folder) => {
      writeFileSync(join(folder, 'Cargo.toml'), MANIFEST);
      mkdirSync(join(folder, 'src'));
      writeFileSync(join(folder, 'src/lib.rs'), '');
      const fetched = spawnSync('cargo', ['fetch'], { cwd: folder, encoding: 'utf8', timeout: 120_000 });
      if (fetched.status !== 0) skipLoudly(context, 'the crate zerocopy cannot be fetched');
    });
    const bytes = new Random(SEED).bytes(codec(Padded).size);
    const { a, b, c, d } = codec(Padded).decode(Uint8Array.from(bytes));
    const random = randomTypes(new Random(SEED + 9), Math.ceil(CASES / 2)).map((item) => item.type);
    const main = `mod every; mod random; mod own;
use own::{Flag, Padded};
use zerocopy::{FromBytes, IntoBytes, TryFromBytes};
fn main() {
    let bytes: [u8; ${bytes.length}] = [${[...bytes].join(',')}];
    let value = Padded::read_from_bytes(&bytes).unwrap();
    println!("{} {} {} {} {}", value.a, value.b, value.c, value.d, value.as_bytes() == bytes);
    println!("{} {}", Flag::try_read_from_bytes(&[1, 0, 2, 0]).is_ok(), Flag::try_read_from_bytes(&[2, 0, 2, 0]).is_ok());
}
`;
    const modules = { every: derived(EVERY_KIND.types), random: derived(random, []), own: derived([Padded, Flag], []) };
    const said = await inFolder((folder) => ran(folder, modules, main));
    expect(said).toBe(`${a} ${b} ${c} ${d} true\ntrue false\n`);
  });
});
