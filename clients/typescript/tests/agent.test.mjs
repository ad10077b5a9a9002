// An agent that runs itself, against a real server.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Denied, exitStatus, Gantral, Waiting } from 'gantral';
import { refund, World } from './world.mjs';

let world;
let gantral;
before(async () => {
  world = await World.start();
  await world.apply();
  gantral = new Gantral({ url: world.url, token: () => world.token('refund-agent'), trust: world.trust, tenant: 'dev' });
});
after(() => world.stop());

const begin = (input = {}) => gantral.start({ workflow: 'refund', trigger: 'PAYMENT', input });

test('small refund is done at once, reported and completed, and the evidence is valid', async () => {
  const attempt = await begin();
  const done = [];
  const paid = attempt.governed(
    (cents) => refund(cents),
    (action) => {
      done.push(action);
      return { refund: 'r-1' };
    },
  );
  assert.deepEqual(await paid(50), { refund: 'r-1' });
  assert.deepEqual(done, [{ name: 'refund', target: 'order/1001', parameters: { amount_minor: 50, currency: 'EUR' } }]);
  assert.equal((await attempt.complete()).state, 'COMPLETED');
  assert.equal((await world.instance(attempt.instanceId)).outcomes[0].status, 'SUCCEEDED');
  assert.equal(await world.verdict(attempt.instanceId), 'VALID');
});

test('what was captured is sealed with its address, and an address with a password costs no outcome', async () => {
  const digest = 'ab'.repeat(32);
  const captured = { name: 'answer', digest, url: 's3://audit/calls/17' };
  for (const [evidence, sealed] of [
    [[captured], [captured]],
    [[captured, { name: 'bad', digest, url: 'https://me:hunter2@host/x' }], undefined],
  ]) {
    const attempt = await begin();
    const permit = await attempt.gate(refund(50));
    await permit.run((_action, its) => its.succeeded({ refund: 'r-1' }, { evidence }));
    const { outcomes } = await world.instance(attempt.instanceId);
    assert.deepEqual([outcomes[0].status, outcomes[0].evidence], ['SUCCEEDED', sealed]);
    await attempt.complete();
    assert.equal(await world.verdict(attempt.instanceId), 'VALID');
  }
});

test('agent ends at the gate, and a fresh attempt does what the human changed it to, once', async () => {
  const first = await begin();
  const error = await first.gate(refund(480_000), { step: 'propose' }).catch((thrown) => thrown);
  assert.ok(error instanceof Waiting);
  assert.equal(exitStatus(error), 3);
  assert.deepEqual(error.roles, ['RISK_OFFICER']);
  assert.match(error.url, /^http:\/\/127\.0\.0\.1/);
  const { instanceId } = first;
  const waiting = gantral.wait(instanceId);
  await world.override(error.gateId, 48_000);
  assert.equal((await waiting).state, 'OVERRIDDEN');

  const second = await gantral.attach(instanceId);
  assert.equal(second.number, 2);
  const permit = await second.gate(refund(480_000));
  const parameters = await permit.run((action) => action.parameters);
  assert.deepEqual(parameters, { amount_minor: 48_000, currency: 'EUR' });
  assert.equal(second.approved, null);
  await assert.rejects(
    permit.run(() => 0),
    { code: 'permit_used' },
  );
  await second.complete();
  assert.equal((await world.instance(instanceId)).outcomes.length, 1);
  assert.equal(await world.verdict(instanceId), 'VALID');
});

test('what was granted is resumed without being asked for, and waits while something else is asked', async () => {
  const first = await begin();
  assert.equal(await first.resume(), null);
  const { gateId } = await first.gate(refund(480_000)).catch((thrown) => thrown);
  await world.gantral('approvals', 'approve', gateId, '--reason', 'as agreed');
  const second = await gantral.attach(first.instanceId);
  await assert.rejects(second.gate(refund(50, 'order/2')), { code: 'grant_unused' });
  const permit = await second.resume();
  assert.equal(await permit.run((action) => action.parameters.amount_minor), 480_000);
  await second.complete();
});

test('something else than what was granted is asked for where that is meant', async () => {
  const first = await begin();
  const { gateId } = await first.gate(refund(480_000)).catch((thrown) => thrown);
  await world.gantral('approvals', 'approve', gateId, '--reason', 'as agreed');
  const second = await gantral.attach(first.instanceId);
  const permit = await second.gate(refund(50, 'order/2'), {}, { anew: true });
  assert.equal(await permit.run((action) => action.target), 'order/2');
});

test('request is taken back by whoever made it', async () => {
  const attempt = await begin();
  await assert.rejects(attempt.gate(refund(480_000)), { code: 'waiting' });
  await gantral.withdraw(attempt.instanceId);
  const { state, cause } = await gantral.wait(attempt.instanceId);
  assert.deepEqual([state, cause], ['TERMINATED', 'withdrawn']);
});

test('rejected request gives no attempt to go on with', async () => {
  const first = await begin();
  const { gateId } = await first.gate(refund(480_000)).catch((thrown) => thrown);
  await world.gantral('approvals', 'reject', gateId, '--reason', 'never');
  assert.equal((await gantral.wait(first.instanceId)).state, 'TERMINATED');
  await assert.rejects(gantral.attach(first.instanceId), { code: 'instance_ended', status: 409 });
});

test('denied action is not done, and the execution has ended', async () => {
  const attempt = await begin();
  const acted = attempt.governed(
    () => refund(20_000_000),
    () => assert.fail('acted'),
  );
  const error = await acted().catch((thrown) => thrown);
  assert.ok(error instanceof Denied);
  assert.equal(exitStatus(error), 4);
  assert.match(error.reasons.join(), /beyond what anybody may grant/);
  assert.equal((await gantral.instance(attempt.instanceId)).state, 'TERMINATED');
});

test('action that throws is reported as failed, and what it throws is thrown', async () => {
  const attempt = await begin();
  const broken = new TypeError('with a word that must not leave this process');
  const paid = attempt.governed(
    () => refund(50),
    () => Promise.reject(broken),
  );
  await assert.rejects(paid(), broken);
  assert.equal((await gantral.instance(attempt.instanceId)).outcomes[0].status, 'FAILED');
  assert.equal((await attempt.fail()).state, 'TERMINATED');
});

test('action that does not know whether it took effect reports nothing, and nothing is granted before somebody has found out', async () => {
  const attempt = await begin();
  const paid = attempt.governed(
    () => refund(50),
    (_action, permit) => {
      permit.unknown();
      throw new Error('no answer of the bank');
    },
  );
  await assert.rejects(paid(), /no answer of the bank/);
  const [outcome] = (await gantral.instance(attempt.instanceId)).outcomes;
  assert.equal(outcome.status ?? null, null);
  // The next attempt takes the place of this one, whose outcome is then unknown.
  await assert.rejects(gantral.attach(attempt.instanceId), { code: 'outcome_unknown' });
  assert.equal((await gantral.instance(attempt.instanceId)).outcomes[0].status, 'UNKNOWN');
});

test('result that looks like a secret, or is no JSON, is left out, and the outcome is known', async () => {
  const attempt = await begin();
  await (
    await attempt.gate(refund(50))
  ).run(async (_action, permit) => {
    const report = { status: 'SUCCEEDED', result: { key: 'AKIAIOSFODNN7EXAMPLE' } };
    await assert.rejects(attempt.outcome(permit.grantId, report), { code: 'secret_inline' });
  });
  for (const result of [{ key: 'AKIAIOSFODNN7EXAMPLE' }, new Map(), undefined, 1n << 70n]) {
    assert.equal(await (await attempt.gate(refund(50))).run(() => result), result);
  }
  const { outcomes } = await gantral.instance(attempt.instanceId);
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ['SUCCEEDED', 'SUCCEEDED', 'SUCCEEDED', 'SUCCEEDED', 'SUCCEEDED'],
  );
});

test('actions at once are each done once', async () => {
  const attempt = await begin();
  const paid = attempt.governed(
    (target) => refund(50, target),
    ({ target }) => target,
  );
  const targets = ['order/1', 'order/2', 'order/3', 'order/4'];
  assert.deepEqual(await Promise.all(targets.map(paid)), targets);
  assert.equal((await gantral.instance(attempt.instanceId)).outcomes.length, 4);
});

test('outcome is reported by hand, with its cost, and once more after a lost answer', async () => {
  const attempt = await begin();
  const permit = await attempt.gate(refund(50));
  await permit.run(async () => {
    await permit.succeeded({ refund: 'r-2' }, { cost: 50 });
    await permit.succeeded({ refund: 'r-2' }, { cost: 50 });
  });
  assert.equal((await gantral.instance(attempt.instanceId)).outcomes.length, 1);
});

test('where policy is only observed everything may be done, and is reported', async () => {
  await world.apply('observed');
  await world.gantral('enforce', 'disable', '--workflow', 'observed', '--reason', 'we look first');
  const attempt = await gantral.start({ workflow: 'observed', trigger: 'PAYMENT' });
  const permit = await attempt.gate(refund(20_000_000));
  assert.deepEqual([permit.enforced, permit.grantId], [false, null]);
  assert.equal(await permit.run(() => 'done'), 'done');
  await attempt.complete();
  assert.equal(await world.verdict(attempt.instanceId), 'VALID');
});

test('numbers that no double holds come back as they went', async () => {
  const attempt = await begin({ count: 9007199254740993n, small: 0.1 });
  assert.deepEqual(attempt.context.input, { count: 9007199254740993n, small: 0.1 });
});

test('same idempotency key is one instance, and another body under it is refused', async () => {
  const [first, again] = [
    await gantral.createInstance({ workflow: 'refund' }, 'order-7'),
    await gantral.createInstance({ workflow: 'refund' }, 'order-7'),
  ];
  assert.equal(first.instance.instance_id, again.instance.instance_id);
  await assert.rejects(gantral.createInstance({ workflow: 'refund', trigger: 'PR' }, 'order-7'), { code: 'idempotency_key_reused' });
});
