// Secrets that a real runner hands out once a grant is used up, and to nothing else.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { after, before, test } from 'node:test';
import { Gantral, SecretRefused } from 'gantral';
import { HERE, World } from './world.mjs';

let world;
before(async () => {
  world = await World.start();
  await world.apply();
});
after(() => world.stop());

const CANARY = 'canary-5f1d8e0c-for-typescript';

/// Starts a runner that may give `pay-key` to one workflow, for refunds.
function secretRunner() {
  const [key, settings] = [world.path('pay.key'), world.path('runner.toml')];
  writeFileSync(key, `${CANARY}\n`);
  const secret = `from = 'file:${key}'\nworkflows = ['secretive']\nactions = ['refund']\n`;
  writeFileSync(settings, `[queues.default]\n[secrets.pay-key]\n${secret}`);
  world.startRunner(['--command-dir', HERE], {}, ['--config', settings]);
}

/// Asks for secrets before, while and after it may have one, and says the codes, or what it was given.
const SECRETIVE = `async (attempt) => {
    const refused = (error) => error.constructor.name + ' ' + error.code;
    const said = { before: await attempt.secret('pay-key').catch(refused) };
    const permit = await attempt.gate({ name: 'refund', target: 'order/1', parameters: { amount_minor: 50 } });
    await permit.run(async (action, its) => {
      said.within = await its.secret('pay-key').catch(refused);
      said.newest = await attempt.secret('pay-key').catch(refused);
      said.other = await its.secret('other-key').catch(refused);
      return 'done';
    });
    said.after = await attempt.secret('pay-key').catch(refused);
    return said;
  }`;

test('secret is given once the grant is used up, and the outcome names what was handed out', async () => {
  secretRunner();
  const said = await world.launched('secretive', SECRETIVE);
  assert.deepEqual(said, {
    before: 'SecretRefused secret_without_grant',
    within: CANARY,
    newest: CANARY,
    other: 'SecretRefused secret_not_for_this',
    after: 'SecretRefused secret_without_grant',
  });
  const records = world.text('.gantral-dev/runner/secrets.jsonl').trim().split('\n');
  const digests = records.map((line) => createHash('sha256').update(line).digest('hex'));
  const { items } = JSON.parse(await world.gantral('instances', 'ls', '--workflow', 'secretive', '--json'));
  const { outcomes } = await world.instance(items[0].instance_id);
  assert.deepEqual(
    outcomes[0].evidence,
    digests.map((digest) => ({ name: 'secret-pay-key', digest })),
  );
  assert.equal(await world.verdict(items[0].instance_id), 'VALID');
  assert.ok(!readFileSync(world.path(`${items[0].instance_id}.gantral`)).includes(CANARY));

  const others = await world.launched('others', SECRETIVE);
  assert.deepEqual(new Set(Object.values(others)), new Set(['SecretRefused secret_not_for_this']), 'that of another workflow is given to nobody');
});

test('runner that gives no answer, or none that is a secret, is told from one that refuses', async () => {
  const env = { GANTRAL_INSTANCE_ID: 'i', GANTRAL_URL: world.url, GANTRAL_ATTEMPT: '1', GANTRAL_TOKEN_FILE: 'none' };
  const path = world.path('s');
  const attempt = await Gantral.fromEnvironment({ ...env, GANTRAL_SECRETS: path });
  const asked = () => attempt.secret('k', { grantId: 'g' });
  await assert.rejects(asked(), { code: 'secret_unavailable' });
  const record = { name: 'secret-k', digest: 'ab'.repeat(32) };
  for (const [answer, code] of [
    ['', 'secret_unavailable'],
    ['nothing\n', 'secret_unavailable'],
    ['null\n', 'secret_unavailable'],
    ['{"value":"canary"}\n', 'secret_unavailable'],
    [`${JSON.stringify({ value: 'not base64: canary', record })}\n`, 'secret_unavailable'],
    [`${JSON.stringify({ value: '/w==', record })}\n`, 'secret_not_text'],
    [`${'x'.repeat(200 << 10)}\n`, 'secret_unavailable'],
    ['{"code":"secret_too_many","detail":"enough"}\n', 'secret_too_many'],
  ]) {
    const runner = createServer((socket) => socket.on('error', () => {}).on('data', () => socket.end(answer)));
    await new Promise((done) => runner.listen(path, done));
    const error = await asked().catch((thrown) => thrown);
    assert.ok(error instanceof SecretRefused && error.code === code, `${answer.slice(0, 60)}: ${error}`);
    assert.ok(!String(error).includes('canary'), String(error));
    await new Promise((done) => runner.close(done));
  }
  const unlaunched = await Gantral.fromEnvironment(env);
  await assert.rejects(unlaunched.secret('k'), { code: 'secret_not_for_this', message: /Node\.js that it launched/ });
});
