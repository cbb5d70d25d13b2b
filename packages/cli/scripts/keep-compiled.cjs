// Loaded before the program: keeps what V8 compiled of its modules when the process ends.
const { mkdirSync, renameSync, writeFileSync } = require('node:fs');
const { createRequire, Module } = require('node:module');
const { dirname, join, sep } = require('node:path');
const { Script } = require('node:vm');
const { compiledPath, wrapped } = require('../dist/start.cjs');

const modules = join(__dirname, '..', 'dist');
const asNode = Module.prototype._compile;

Module.prototype._compile = function compile(source, path) {
  if (!path.startsWith(modules + sep)) return asNode.call(this, source, path);
  const script = new Script(wrapped(source), { filename: path });
  process.on('exit', () => {
    const compiled = compiledPath(path, modules);
    mkdirSync(dirname(compiled), { recursive: true });
    // Several commands may write what they share.
    const name = `${compiled}.${process.pid}`;
    writeFileSync(name, script.createCachedData());
    renameSync(name, compiled);
  });
  return script.runInThisContext().call(this.exports, this.exports, createRequire(path), this, path, dirname(path));
};
