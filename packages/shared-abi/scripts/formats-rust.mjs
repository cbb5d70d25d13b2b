// The table of formats for the guest: two macros that hand it to another one, as rows of Rust.
import { nameOf } from '@instar/layout';
import { FORMAT_NUMBERS, IMAGE_FORMAT, READABLE_FORMATS } from '../dist/index.js';

/** @param {string} name */
function variant(name) {
  return `${name.charAt(0).toUpperCase()}${name.slice(1)}`;
}

/** @param {string} name @param {string} doc @param {readonly string[]} lines */
function macro(name, doc, lines) {
  return [
    `/// ${doc}`,
    '#[macro_export]',
    `macro_rules! ${name} {`,
    '    ($then:ident) => {',
    '        $then! {',
    ...lines.map((line) => `            ${line}`),
    '        }',
    '    };',
    '}',
  ];
}

export function formatsRust() {
  const names = Object.entries(FORMAT_NUMBERS).map(([name, number]) => {
    return `${variant(name)} = ${nameOf(IMAGE_FORMAT, number)}, ${JSON.stringify(name)};`;
  });
  const drivers = READABLE_FORMATS.map((name) => `${variant(name)} => ${name};`);
  return [
    ...macro('for_each_format', 'Hands every format to a macro: variant, constant of [`image_format`], name.', names),
    ...macro('for_each_driver', 'Hands every format that is read to a macro: variant, module of its driver.', drivers),
    '',
  ].join('\n');
}
