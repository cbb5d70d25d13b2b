// Loaded before the program: keeps what V8 compiled of its command when the process ends.
const { mkdirSync, renameSync, writeFileSync } = require('node:fs');
const { createRequire, Module } = require('node:module');
const { dirname, join } = require('node:path');
const { Script } = require('node:vm');
const { compiledPath, wrapped } = require('../dist/compiled.cjs');

const commands = join(__dirname, '..', 'dist', 'commands');
const asNode = Module.prototype._compile;

Module.prototype._compile = function compile(source, path) {
  if (dirname(path) !== commands) return asNode.call(this, source, path);
  const script = new Script(wrapped(source), { filename: path });
  process.on('exit', () => {
    mkdirSync(dirname(compiledPath(path)), { recursive: true });
    // Several commands may write what they share.
    const name = `${compiledPath(path)}.${process.pid}`;
    writeFileSync(name, script.createCachedData());
    renameSync(name, compiledPath(path));
  });
  return script.runInThisContext().call(this.exports, this.exports, createRequire(path), this, path, dirname(path));
};
