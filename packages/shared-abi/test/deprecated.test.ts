import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import ts from 'typescript';
import { beforeAll, describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '..');

/** Names that an editor strikes through in a program. */
function struckThrough(program: string): string[] {
  const file = join(ROOT, 'test/asked.ts');
  const host: ts.LanguageServiceHost = {
    getScriptFileNames: () => [file],
    getScriptVersion: () => '1',
    getScriptSnapshot: (name) => {
      const text = name === file ? program : ts.sys.readFile(name);
      return text === undefined ? undefined : ts.ScriptSnapshot.fromString(text);
    },
    getCurrentDirectory: () => ROOT,
    getCompilationSettings: () => ({
      module: ts.ModuleKind.NodeNext,
      moduleResolution: ts.ModuleResolutionKind.NodeNext,
      target: ts.ScriptTarget.ES2022,
      strict: true,
      types: [],
    }),
    getDefaultLibFileName: (options) => ts.getDefaultLibFilePath(options),
    fileExists: (name) => name === file || ts.sys.fileExists(name),
    readFile: (name) => ts.sys.readFile(name),
  };
  const service = ts.createLanguageService(host);
  const errors = [...service.getSyntacticDiagnostics(file), ...service.getSemanticDiagnostics(file)];
  expect(errors.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))).toEqual([]);
  const found = service.getSuggestionDiagnostics(file).filter((item) => item.reportsDeprecated !== undefined);
  return [
    ...new Set(found.map(({ start, length }) => program.slice(start, start + length).replace('type ', ''))),
  ].sort();
}

describe('what moved to @instar/layout', () => {
  beforeAll(() => {
    // The build does this last; a build of the bundles alone does not.
    execFileSync(process.execPath, [join(ROOT, 'scripts/tag-deprecated.mjs')]);
  });

  it('is deprecated under its old name, and nothing else is', () => {
    const program = `
      import { PAGE_SIZE, cEmitter, diffInterfaces, struct, u8, type Struct, describeAbi } from '@instar/shared-abi';
      import { codec } from '@instar/shared-abi/layout';
      import { extractFile } from '@instar/shared-abi/extract';
      import { importKsy } from '@instar/shared-abi/kaitai';
      import { u16, array } from '@instar/layout';
      const made: Struct<{ a: number }> = struct('S', { a: u8 });
      export const all = [made, PAGE_SIZE, cEmitter, diffInterfaces, describeAbi, codec, extractFile, importKsy, array(u16, 2)];
    `;
    expect(struckThrough(program)).toEqual(
      ['Struct', 'cEmitter', 'codec', 'diffInterfaces', 'extractFile', 'importKsy', 'struct', 'u8'].sort(),
    );
  });
});
