// A server, or somebody between it and the agent, that can send anything but cannot sign: nothing is done.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, test } from 'node:test';
import { Untrusted, Gantral, Trust } from 'gantral';
import { refund, World } from './world.mjs';

let world;
before(async () => {
  world = await World.start();
  await world.apply();
});
after(() => world.stop());

/// An agent whose connection passes each answer to `change`, which is given its path and its members.
function agent(change, options = {}) {
  const between = async (url, request) => {
    const response = await fetch(url, request);
    if (response.headers.get('content-type') !== 'application/json') return response;
    const body = await response.json();
    const changed = change?.(new URL(url).pathname.split('/').slice(4).join('/'), body) ?? body;
    return new Response(JSON.stringify(changed), { status: response.status, headers: response.headers });
  };
  const token = () => world.token('refund-agent');
  return new Gantral({ url: world.url, token, trust: world.trust, tenant: 'dev', fetch: between, ...options });
}

/// Asks for a small refund over a connection that changes answers; it must be refused with `code`, and not be done.
async function refused(code, change, options) {
  const attempt = await agent(change, options).start({ workflow: 'refund' });
  const acted = attempt.governed(
    () => refund(50),
    () => assert.fail('acted'),
  );
  const error = await acted().catch((thrown) => thrown);
  assert.ok(error instanceof Untrusted, error.stack);
  assert.equal(error.code, code, error.message);
}

const isAsk = (path) => path.endsWith('authority');
const isConsume = (path) => path.endsWith('consume');
const flip = (text) => (text[8] === 'A' ? 'B' : 'A');
const withFlip = (text) => text.slice(0, 8) + flip(text) + text.slice(9);

test('unchanged answers are believed', async () => {
  const attempt = await agent().start({ workflow: 'refund' });
  assert.equal(attempt.verifies, true);
  assert.equal(await (await attempt.gate(refund(50))).run(() => 'done'), 'done');
});

test('another action in the grant is not done', () =>
  refused('another_action', (path, body) => {
    if (isAsk(path)) body.grant.action.parameters.note = 'and a thousand more';
  }));

test('grant for another amount than was asked for is not used', () =>
  refused('another_action', (path, body) => {
    if (isAsk(path)) body.grant.action.parameters.amount_minor = 5_000;
  }));

test('grant that nobody signed is not used', () =>
  refused('another_grant', (path, body) => {
    if (isAsk(path)) body.grant.grant_id = '11111111-1111-4111-8111-111111111111';
  }));

test('grant that lives longer than was signed is not used', () =>
  refused('another_grant', (path, body) => {
    if (isAsk(path)) body.grant.expires_at = '2999-01-01T00:00:00.000Z';
  }));

test('forged signature is not believed', () =>
  refused('signature_untrusted', (path, body) => {
    if (isAsk(path)) body.artifacts[0].envelope.signatures[0].sig = withFlip(body.artifacts[0].envelope.signatures[0].sig);
  }));

test('changed payload is not believed', () =>
  refused('receipt_malformed', (path, body) => {
    if (!isConsume(path)) return;
    const { envelope } = body.artifacts[0];
    envelope.payload = btoa(atob(envelope.payload).replace('"attempt":1', '"attempt":2'));
  }));

test('consumption without a receipt is none', () =>
  refused('receipt_missing', (path, body) => {
    if (isConsume(path)) body.artifacts = [];
  }));

test('receipt of an earlier consumption is not taken for a later one', async () => {
  let earlier;
  const attempt = await agent((path, body) => {
    if (isConsume(path)) body.artifacts = earlier ??= body.artifacts;
  }).start({ workflow: 'refund' });
  await (await attempt.gate(refund(50))).run(() => 'once');
  await assert.rejects(attempt.gate(refund(50)), { code: 'receipt_missing' });
});

test('receipt of another instance is foreign', async () => {
  let foreign;
  await agent((path, body) => void (isConsume(path) && (foreign = body.artifacts)))
    .start({ workflow: 'refund' })
    .then((attempt) => attempt.gate(refund(50)));
  await refused('another_instance', (path, body) => {
    if (isConsume(path)) body.artifacts = foreign;
  });
});

test('answer that says that policy is only observed needs a signature too', () =>
  refused('receipt_missing', (path, body) => {
    if (isAsk(path)) Object.assign(body, { enforced: false, grant: null, grant_id: null });
  }));

test('answer about an action that is only observed does not let one start that is enforced', async () => {
  await world.apply('mixed');
  await world.gantral('enforce', 'disable', '--workflow', 'mixed', '--reason', 'we look first');
  // Somebody between asks for something else, about which the server tells the truth.
  const between = (url, request) => {
    const other =
      url.endsWith('authority') && request.body ? { body: Buffer.from(request.body).toString().replace('order/1001', 'order/2') } : {};
    return fetch(url, { ...request, ...other });
  };
  const honest = await agent(undefined, { fetch }).start({ workflow: 'mixed' });
  assert.equal(await (await honest.gate(refund(20_000_000))).run(() => 'done'), 'done');
  const attempt = await agent(undefined, { fetch: between }).start({ workflow: 'mixed' });
  await assert.rejects(attempt.gate(refund(20_000_000)), { code: 'another_action' });
});

test('allowed without a grant is not allowed', () =>
  refused('another_grant', (path, body) => {
    if (isAsk(path)) body.grant = null;
  }));

test('keys of another issuer are not believed', async () => {
  const other = await World.start();
  const trust = other.trust;
  await other.stop();
  await refused('signature_untrusted', undefined, { trust });
});

test('key that was compromised, has ended, or is for others is not believed', async () => {
  const pinned = JSON.parse(world.trust);
  const limits = [
    { compromised_from: 10_000 },
    { valid_until: 10_000 },
    { tenants: ['acme'] },
    { origins: ['acme/log'] },
    { role: 'directory' },
  ];
  for (const limit of limits) {
    const trust = await Trust.read(JSON.stringify({ ...pinned, keys: [{ ...pinned.keys[0], ...limit }] }));
    await refused('signature_untrusted', undefined, { trust });
  }
});

test('tenant that is pinned is the one that is believed', () => refused('another_instance', undefined, { tenant: 'acme' }));

/// The key of the log, as a key of the file would be written.
function logKey(policy) {
  const encoded = /\+[0-9a-f]{8}\+(\S+)/.exec(policy)[1];
  const bytes = Buffer.from(encoded, 'base64').subarray(1);
  const id = createHash('sha256').update('gantral/key/v1\0ed25519\0').update(bytes).digest('hex');
  return { key_id: id, public_key: bytes.toString('hex') };
}

test('trust file that breaks a rule is no trust file', async () => {
  const pinned = JSON.parse(world.trust);
  const [key] = pinned.keys;
  const broken = [
    { ...pinned, format: 'gantral/trust/v2' },
    { ...pinned, keys: [key, key] },
    { ...pinned, keys: [{ ...key, key_id: '0'.repeat(64) }] },
    { ...pinned, keys: [{ ...key, more: null }] },
    { keys: pinned.keys },
    { ...pinned, keys: [{ ...key, ...logKey(pinned.log.policy) }] },
  ];
  for (const file of [
    ...broken.map((value) => JSON.stringify(value)),
    '',
    '[]',
    '{"format":"gantral/trust/v1","format":"gantral/trust/v1"}',
  ]) {
    await assert.rejects(Trust.read(file), { code: 'trust_unusable' }, file);
  }
});

test('chain of which the evidence leaves something out is not believed', async () => {
  const first = await agent().start({ workflow: 'refund' });
  const { gateId } = await first.gate(refund(480_000)).catch((thrown) => thrown);
  await world.override(gateId, 48_000);
  // Without the artifact in which the human decided, no chain leads to the newest one.
  const cut = async (url, request) => {
    const response = await fetch(url, request);
    if (!url.endsWith('/evidence')) return response;
    const archive = Buffer.from(await response.arrayBuffer());
    const at = archive.indexOf('artifacts/000004.dsse.json');
    const blocks = 1 + Math.ceil(parseInt(archive.toString('latin1', at + 124, at + 135), 8) / 512);
    return new Response(Buffer.concat([archive.subarray(0, at), archive.subarray(at + blocks * 512)]));
  };
  const second = await agent(undefined, { fetch: cut }).attach(first.instanceId);
  await assert.rejects(second.resume(), { code: 'chain_broken' });
});

test('what humans granted is not another grant, and not for another action', async () => {
  for (const [change, code] of [
    [(grant) => (grant.action.parameters.amount_minor = 480_000), 'another_action'],
    [(grant) => (grant.gate_id = '11111111-1111-4111-8111-111111111111'), 'another_grant'],
    [(grant) => (grant.overridden = false), 'another_grant'],
  ]) {
    const first = await agent().start({ workflow: 'refund' });
    const { gateId } = await first.gate(refund(480_000)).catch((thrown) => thrown);
    await world.override(gateId, 48_000);
    const second = await agent((path, body) => void (path.endsWith('attempts') && change(body.grant))).attach(first.instanceId);
    await assert.rejects(second.resume(), { code });
  }
});
