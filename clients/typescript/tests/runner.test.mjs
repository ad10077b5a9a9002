// Processes that a real runner launches.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Gantral } from 'gantral';
import { HERE, REPOSITORY, World } from './world.mjs';

let world;
before(async () => {
  world = await World.start();
  await world.apply();
});
after(() => world.stop());

test('example asks, ends, and is started afresh with what the human changed; it acts once', async () => {
  await world.gantral('workflows', 'apply', join(REPOSITORY, 'examples/node-refund/workflow.toml'));
  world.startRunner(['--command-dir', HERE, '--inherit', 'EXAMPLE_DATA'], { EXAMPLE_DATA: world.path('data') });
  const id = await world.gantral('instances', 'create', 'node-refund');
  const { gate, attempt } = await world.reach(id, 'WAITING_FOR_HUMAN');
  assert.deepEqual([attempt, gate.action.parameters.amount_minor], [1, 480_000]);
  await world.override(gate.gate_id, 48_000);
  const seen = await world.reach(id, 'COMPLETED');
  assert.deepEqual([seen.attempt, seen.outcomes.map(({ status }) => status)], [2, ['SUCCEEDED']]);
  const ledger = world
    .text('data/ledger.jsonl')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.deepEqual(
    ledger.map(({ action }) => action.parameters),
    [{ amount_minor: 48_000, currency: 'EUR', reason: 'arrived broken' }],
  );
  assert.equal(ledger[0].grant_id, seen.outcomes[0].grant_id);
  assert.equal(await world.verdict(id), 'VALID');
});

test('launched process verifies by what the runner has pinned, and keeps its receipts in the journal of the runner', async () => {
  const said = await world.launched(
    'looks',
    `async (attempt) => {
    const permit = await attempt.gate({ name: 'refund', target: 'order/1', parameters: { amount_minor: 50 } });
    await permit.run(() => 'done');
    return { verifies: attempt.verifies, number: attempt.number, count: String(attempt.context.input.count), journal: process.env.GANTRAL_JOURNAL };
  }`,
  );
  const { journal, ...rest } = said;
  assert.deepEqual(rest, { verifies: true, number: 1, count: '9007199254740993' });
  const events = readFileSync(journal, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).event);
  assert.deepEqual(events.slice(-3), ['allowed', 'consumed', 'outcome']);
});

test('process that nobody launched is told what is missing', async () => {
  await assert.rejects(Gantral.fromEnvironment({}), { code: 'not_launched', message: /`GANTRAL_INSTANCE_ID` is not set/ });
  const env = { GANTRAL_INSTANCE_ID: 'i', GANTRAL_TOKEN_FILE: 'none', GANTRAL_URL: world.url, GANTRAL_ATTEMPT: 'first' };
  await assert.rejects(Gantral.fromEnvironment(env), { code: 'not_launched', message: /GANTRAL_ATTEMPT/ });
  await assert.rejects(Gantral.fromEnvironment({ ...env, GANTRAL_CONTEXT: 'none' }), { code: 'not_launched', message: /context/ });
  writeFileSync(world.path('good.json'), '{"instance_id":"11111111-1111-4111-8111-111111111111","attempt":1,"outcomes":[]}');
  const other = { ...env, GANTRAL_CONTEXT: world.path('good.json'), GANTRAL_ATTEMPT: '1' };
  await assert.rejects(Gantral.fromEnvironment(other), { code: 'not_launched', message: /another attempt/ });
  const unpinned = { ...other, GANTRAL_INSTANCE_ID: '11111111-1111-4111-8111-111111111111' };
  await assert.rejects(Gantral.fromEnvironment(unpinned), { code: 'not_launched', message: /GANTRAL_TRUST/ });
  writeFileSync(world.path('context.json'), '{"instance_id":"i","outcomes":null}');
  await assert.rejects(Gantral.fromEnvironment({ ...env, GANTRAL_CONTEXT: world.path('context.json') }), {
    code: 'not_launched',
    message: /context/,
  });
  const failed = await new Promise((done) =>
    execFile(process.execPath, ['examples/node-refund/agent.js'], { cwd: HERE, env: {} }, (error, said) => done([error?.code, said])),
  );
  assert.deepEqual([failed[0], /not_launched/.test(failed[1])], [1, true]);
});
