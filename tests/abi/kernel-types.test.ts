import { resolve, x86_64, type ResolvedField, type ResolvedType } from '@instar/layout';
import { cEmitter } from '@instar/layout/emit';
import { extractFile, type ExtractedType, type ExtractFileOptions } from '@instar/layout/extract';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest';
import { instar, program } from '../support/command.js';
import { requireJudge, skipLoudly, type Judge } from '../support/judge.js';
import { Workdir } from '../support/workdir.js';
import { debianKernel, debianVmlinux, type KernelFiles } from '../vmcore/linux/debian.js';

const PAHOLE: Judge = { program: 'pahole', probe: ['--version'], package: 'pahole' };
/** Types that must have been compared. */
const TYPES = 2000;

const GCC: Judge = { program: 'gcc', probe: ['--version'], package: 'gcc' };
/** Types that are looked at. */
const MOST = Number(process.env['INSTAR_CASES'] ?? 2500);

/** A struct or a union: its size, and where the fields are that have a name in it. */
interface Shape {
  readonly keyword: string;
  readonly size: number;
  /** Bits from the start, by name. */
  readonly fields: ReadonlyMap<string, number>;
}

/** Reads what pahole prints: C with `offset size` or `offset: bit width` behind each member. */
function shapesOf(text: string): Map<string, Shape> {
  const shapes = new Map<string, Shape>();
  for (const [, keyword = '', name = '', body = ''] of text.matchAll(/^(struct|union) (\w+) \{\n([^]*?)^\}/gm)) {
    // Unions have no remark on their size, and structs inside may have one of their own.
    const size = Number([...body.matchAll(/^\t\/\* size: (\d+)/gm)].at(-1)?.[1] ?? Number.NaN);
    // Members of inner structs count where those have no name.
    const open: Map<string, number>[] = [new Map<string, number>()];
    for (const line of body.split('\n')) {
      if (/^\t+(struct|union) (\w+ )?\{$/.test(line)) {
        open.push(new Map());
        continue;
      }
      const [, declaration = '', byte, bit = '0'] =
        /^\t+(.*);\s*\/\*\s*(\d+)(?::\s*(\d+))?\s+\d+\s*\*\/$/.exec(line) ?? [];
      if (byte === undefined) continue;
      const closes = declaration.startsWith('}');
      const inner = closes ? (open.pop() ?? new Map<string, number>()) : new Map<string, number>();
      const plain = declaration.replace(/\s+__attribute__\(\(.*?\)\)+/g, '');
      const named = /\(\*+\s*(\w+)(\[\d*\])*\)\(/.exec(plain)?.[1] ?? /(\w+)(\[\d*\])*(:\d+)?$/.exec(plain)?.[1];
      const around = open.at(-1) ?? new Map<string, number>();
      if (!closes || plain !== '}') {
        if (named !== undefined) around.set(named, Number(byte) * 8 + Number(bit));
      } else for (const [field, at] of inner) around.set(field, at);
    }
    // Of several types with one name the first counts, as with us.
    if (!shapes.has(`${keyword} ${name}`))
      shapes.set(`${keyword} ${name}`, { keyword, size, fields: open[0] ?? new Map<string, number>() });
  }
  return shapes;
}

/** Our fields by name, those of anonymous members among them. */
function fieldsOf(type: ResolvedType, start = 0): Map<string, number> {
  const list: readonly ResolvedField[] = type.kind === 'struct' ? type.fields : type.kind === 'union' ? type.arms : [];
  const found = new Map<string, number>();
  for (const field of list) {
    if (field.unnamed) continue;
    const bit = start + field.bit;
    if (field.anonymous === true) for (const [name, at] of fieldsOf(field.type, bit)) found.set(name, at);
    else found.set(field.name, bit);
  }
  return found;
}

/** An ELF file whose BTF nobody finds: its name among the names of sections is another one. */
function withoutBtf(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  const name = Buffer.from('\0.BTF\0');
  for (let at = copy.lastIndexOf(name); at >= 0; at = copy.lastIndexOf(name, at - 1)) copy.write('.BTX', at + 1);
  return copy;
}

const inHalves = <T>(list: readonly T[]): (readonly T[])[] => {
  const middle = list.length >> 1;
  return [list.slice(0, middle), list.slice(middle)];
};

/** All of these at once; where one is refused, each alone. */
function extracted(
  file: Omit<ExtractFileOptions, 'types'>,
  names: readonly string[],
): { readonly types: readonly ExtractedType[]; readonly refused: readonly string[] } {
  try {
    return { types: extractFile({ ...file, types: names }).types, refused: [] };
  } catch (error) {
    if (names.length <= 1) return { types: [], refused: [String(error)] };
    const [one, other] = inHalves(names).map((half) => extracted(file, half));
    return {
      types: [...(one?.types ?? []), ...(other?.types ?? [])],
      refused: [...(one?.refused ?? []), ...(other?.refused ?? [])],
    };
  }
}

// By option (see vitest.config.ts): 300 MB are fetched.
describe.each([{ kernel: 'of Debian' }])('types of a kernel $kernel', () => {
  let directory: Workdir;
  let kernel: KernelFiles;
  let vmlinux = '';
  let reason = '';

  beforeAll(() => {
    directory = new Workdir();
    try {
      kernel = debianKernel(directory);
      vmlinux = debianVmlinux(directory, kernel.release);
    } catch (error) {
      reason = error instanceof Error ? error.message : String(error);
    }
  });

  afterAll(() => {
    directory.remove();
  });

  function ready(context: TestContext): void {
    requireJudge(context, PAHOLE);
    if (reason !== '') skipLoudly(context, `no kernel of Debian with debugging information: ${reason.slice(0, 300)}`);
  }

  it('have the sizes and places in BTF that pahole shows', (context) => {
    ready(context);
    const shapes = shapesOf(program('pahole', '-F', 'btf', vmlinux).must().stdout);
    expect(shapes.size).toBeGreaterThan(5000);
    const differences: string[] = [];
    let [types, fields] = [0, 0];
    const bytes = readFileSync(vmlinux);
    const { types: found, refused } = extracted({ file: vmlinux, bytes }, [...shapes.keys()].slice(0, MOST));
    for (const made of found) {
      const name = made.name;
      const shape = shapes.get(name);
      if (shape === undefined) throw new Error(name);
      const layout = resolve(made.layout, x86_64);
      types += 1;
      if (shape.keyword === 'struct' && layout.bits !== shape.size * 8)
        differences.push(`${name}: ${layout.bits / 8} bytes, pahole ${shape.size}`);
      const own = fieldsOf(layout);
      for (const [field, at] of shape.fields) {
        fields += 1;
        // A name that every object of JavaScript has gets an underscore.
        if (own.get(field in {} ? `${field}_` : field) !== at)
          differences.push(`${name}.${field}: bit ${own.get(field)}, pahole ${at}`);
      }
    }
    console.log(`${types} types, ${fields} fields, ${refused.length} refused: ${refused.slice(0, 3).join('; ')}`);
    expect(differences).toEqual([]);
    expect(types).toBeGreaterThanOrEqual(TYPES);
    expect(refused.length).toBeLessThan(types / 50);
  });

  it('have the same places in DWARF', (context) => {
    ready(context);
    const bytes = readFileSync(vmlinux);
    const shapes = shapesOf(program('pahole', '-F', 'btf', vmlinux).must().stdout);
    // Those of the first units: DWARF is read one unit after the other, and all of it takes a minute.
    const names = [
      'struct list_head',
      'struct page',
      'struct task_struct',
      'struct mm_struct',
      'struct file',
      'struct inode',
    ];
    for (const made of extractFile({ file: vmlinux, bytes: withoutBtf(bytes), types: names }).types) {
      const layout = resolve(made.layout, x86_64);
      expect(layout.bits).toBe((shapes.get(made.name)?.size ?? 0) * 8);
      const places = fieldsOf(layout);
      for (const [field, at] of shapes.get(made.name)?.fields ?? [])
        expect([field, places.get(field)]).toEqual([field, at]);
    }
  });

  it('become C in which the compiler finds all assertions true', { timeout: 900_000 }, (context) => {
    ready(context);
    requireJudge(context, GCC);
    const bytes = readFileSync(vmlinux);
    const wanted = [...shapesOf(program('pahole', '-F', 'btf', vmlinux).must().stdout).keys()].slice(0, MOST);
    const headers: string[] = [];
    let assertions = 0;
    for (const { name, layout } of extracted({ file: vmlinux, bytes }, wanted).types) {
      if (layout.kind !== 'struct' && layout.kind !== 'union') throw new Error(name);
      const header = cEmitter.emit(
        { title: name, regions: [], constants: [], sets: [], types: [layout] },
        { target: x86_64 },
      );
      assertions += header.split('_Static_assert').length - 1;
      directory.write(`type${headers.length}.c`, header);
      headers.push(directory.file(`type${headers.length}.c`));
    }
    console.log(`${headers.length} types as C, ${assertions} assertions`);
    expect(headers.length).toBeGreaterThanOrEqual(TYPES);
    expect(assertions).toBeGreaterThan(headers.length * 5);
    for (let from = 0; from < headers.length; from += 100) {
      program('gcc', '-std=c11', '-fsyntax-only', ...headers.slice(from, from + 100)).must();
    }
  });

  it('take less than two seconds for one, by the command', (context) => {
    ready(context);
    for (const name of ['struct task_struct', 'struct ext4_inode']) {
      const started = performance.now();
      instar('abi', 'extract', '--from', vmlinux, name).run();
      console.log(`${name}: ${Math.round(performance.now() - started)} ms`);
      expect(performance.now() - started).toBeLessThan(2000);
    }
  });

  it('are those of modules too, whose BTF was split from that of the kernel', (context) => {
    ready(context);
    const modules = program('find', join(dirname(dirname(kernel.kernel)), 'lib/modules'), '-name', '*.ko')
      .must()
      .stdout.trim()
      .split('\n')
      .sort();
    expect(modules.length).toBeGreaterThan(100);
    let [types, fields, shown] = [0, 0, 0];
    const differences: string[] = [];
    for (const module of modules.filter((_name, index) => index % 25 === 0)) {
      const { stdout } = program('pahole', '-F', 'btf', '--btf_base', vmlinux, module).run();
      const shapes = shapesOf(stdout);
      if (shapes.size === 0) continue;
      shown += 1;
      for (const made of extracted({ file: module, base: vmlinux }, [...shapes.keys()].slice(0, 60)).types) {
        const shape = shapes.get(made.name);
        const layout = resolve(made.layout, x86_64);
        types += 1;
        if (shape?.keyword === 'struct' && layout.bits !== shape.size * 8) differences.push(`${module} ${made.name}`);
        const own = fieldsOf(layout);
        for (const [field, at] of shape?.fields ?? []) {
          fields += 1;
          if (own.get(field in {} ? `${field}_` : field) !== at) differences.push(`${module} ${made.name}.${field}`);
        }
      }
    }
    console.log(`${shown} modules, ${types} types, ${fields} fields`);
    expect(differences).toEqual([]);
    expect(types).toBeGreaterThan(50);
  });
});
