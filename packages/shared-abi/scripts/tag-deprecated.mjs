// Marks what moved to `@instar/layout` as deprecated, name by name, in the declarations that were built: editors and linters
// strike it through. A star has no place for a tag, and the bundler of declarations drops those that the source could have.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const dist = join(dirname(fileURLToPath(import.meta.url)), '..', 'dist');
const STAR = /^export \* from '(@instar\/layout(?:\/[a-z]+)?)';$/gm;

/** Names that a file of declarations exports, those of stars among them. */
function exportsOf(checker, source) {
  const symbol = checker.getSymbolAtLocation(source);
  return symbol === undefined ? [] : checker.getExportsOfModule(symbol).map(({ name }) => name);
}

/** The names of an entry of `@instar/layout`, as the declarations that are resolved for a file say. */
function namesOf(checker, source, entry) {
  const star = source.statements.find(
    (item) => ts.isExportDeclaration(item) && item.moduleSpecifier?.text === entry && item.exportClause === undefined,
  );
  const symbol = checker.getSymbolAtLocation(star.moduleSpecifier);
  if (symbol === undefined) throw new Error(`${source.fileName}: ${entry} is not built`);
  return checker.getExportsOfModule(symbol).map(({ name }) => name);
}

/** Writes the tags; a second time, nothing. */
function tagDeprecated() {
  const files = readdirSync(dist)
    .filter((name) => /\.d\.c?ts$/.test(name))
    .map((name) => join(dist, name))
    .filter((file) => readFileSync(file, 'utf8').match(STAR) !== null);
  const program = ts.createProgram(files, {
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    target: ts.ScriptTarget.ES2022,
    types: [],
  });
  const checker = program.getTypeChecker();
  for (const file of files) {
    const source = program.getSourceFile(file);
    const all = exportsOf(checker, source);
    const text = readFileSync(file, 'utf8');
    // What the file has itself goes before what a star would bring, and so does an earlier star.
    const own = new Set(all);
    for (const [, entry] of text.matchAll(STAR)) for (const name of namesOf(checker, source, entry)) own.delete(name);
    const declared = new Set([...own, ...ownNames(source)]);
    const tagged = text.replaceAll(STAR, (_whole, entry) => {
      const names = namesOf(checker, source, entry).filter((name) => !declared.has(name));
      for (const name of names) declared.add(name);
      const lines = names.map((name) => `  /** @deprecated Import it from \`${entry}\`. */\n  ${name},`);
      return `export {\n${lines.join('\n')}\n} from '${entry}';`;
    });
    writeFileSync(file, tagged);
  }
}

/** Names that a file exports by themselves. */
function ownNames(source) {
  return source.statements.flatMap((item) => {
    if (!ts.isExportDeclaration(item) || item.exportClause === undefined || !ts.isNamedExports(item.exportClause))
      return [];
    return item.exportClause.elements.map((element) => element.name.text);
  });
}

tagDeprecated();
