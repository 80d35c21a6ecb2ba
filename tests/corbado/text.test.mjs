// The files themselves: what is pasted must stand alone, and be the same where it is said to be.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';

import { ACTIONS, names, SHIMS, source } from './support.mjs';

const MARK = '// ---- From here on the files of the three actions are the same.';

test('the common part is the same text in all files', () => {
  const parts = Object.keys(ACTIONS).map((action) => source(action).split(MARK));
  for (const part of parts) assert.equal(part.length, 2);
  assert.equal(new Set(parts.map(([, common]) => common)).size, 1);
  assert.ok(parts[0][1].length > 2000, 'the mark stands before the common part');
});

for (const action of Object.keys(ACTIONS)) {
  test(`${action} imports nothing but Node's own modules`, () => {
    const text = source(action);
    const imports = [...text.matchAll(/^import .* from '(.*)';$/gm)].map(([, name]) => name);
    assert.deepEqual(imports, ['node:crypto', 'node:timers/promises']);
    assert.equal(text.match(/\bimport\b/g).length, imports.length);
    assert.doesNotMatch(text, /\brequire\b/);
  });

  test(`${action} reads three settings, told in its head and in the README`, () => {
    const text = source(action);
    const read = [...text.matchAll(/process\.env\.(\w+)/g)].map(([, name]) => name);
    assert.deepEqual(read, Object.values(names(action)));
    assert.equal(text.match(/\bprocess\./g).length, read.length);
    const readme = readFileSync(join(SHIMS, 'README.md'), 'utf8');
    for (const name of read) {
      assert.match(text, new RegExp(`^//   ${name} `, 'm'));
      assert.ok(readme.includes(`\`${name}\``), name);
    }
  });
}
