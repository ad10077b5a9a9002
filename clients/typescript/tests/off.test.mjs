// Gantral taken away: an agent goes on as before. Without its configuration it stops.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Gantral, Misused } from 'gantral';

const AGENT = `import { appendFileSync } from 'node:fs';
import { Gantral } from 'gantral';
const attempt = await Gantral.fromEnvironment();
const refund = attempt.governed(
  (order, amount_minor) => ({ name: 'refund', target: 'order/' + order, parameters: { amount_minor } }),
  (action) => { appendFileSync(process.argv[2], JSON.stringify(action) + '\\n'); return { done: true }; },
);
console.log(JSON.stringify(await refund('1001', 480_000)));
await attempt.complete();
`;

function run(env) {
  const ledger = join(mkdtempSync(join(tmpdir(), 'gantral-off-')), 'ledger');
  const clean = Object.entries(process.env).filter(([name]) => !name.startsWith('GANTRAL'));
  const words = ['--input-type=module', '--eval', AGENT, 'agent', ledger];
  const ended = spawnSync(process.execPath, words, { env: { ...Object.fromEntries(clean), ...env }, encoding: 'utf8' });
  return { ...ended, ledger };
}

test('an agent goes on where Gantral was taken away, and says so', () => {
  const { status, stdout, stderr, ledger } = run({ GANTRAL: 'off' });
  assert.equal(status, 0, stderr);
  assert.deepEqual(JSON.parse(stdout), { done: true });
  assert.deepEqual(JSON.parse(readFileSync(ledger, 'utf8')).parameters, { amount_minor: 480_000 });
  assert.match(stderr, /gantral is off/);
});

test('an agent that lost its configuration stops before it acts', () => {
  const { status, stderr, ledger } = run({});
  assert.notEqual(status, 0);
  assert.match(stderr, /GANTRAL_INSTANCE_ID/);
  assert.throws(() => readFileSync(ledger));
});

test('it is taken away by one word, and never under a runner', async () => {
  for (const env of [{ GANTRAL: 'Off' }, { GANTRAL: 'false' }, { GANTRAL: 'off', GANTRAL_INSTANCE_ID: 'x' }]) {
    await assert.rejects(Gantral.fromEnvironment(env), (error) => error instanceof Misused && error.code === 'not_launched');
  }
  const permit = await (await Gantral.fromEnvironment({ GANTRAL: 'off' })).gate({ name: 'refund', target: 'o', parameters: {} });
  assert.equal(permit.enforced, false);
  await assert.rejects(permit.run(() => Promise.reject(new RangeError('its own'))), RangeError);
});
