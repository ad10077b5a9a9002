// A server whose issuer key is in a real OpenBao: what it answers is signed by a delegate, which no trust file names.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { Gantral } from 'gantral';
import { PATIENCE_MS, refund, World } from './world.mjs';

const run = promisify(execFile);
const PROGRAM = join(process.env.GANTRAL_PARTS, 'python/bin/bao');

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/// Starts OpenBao with an issuer key, and makes the folder of keys of a server that signs with it.
async function withOpenBao(world) {
  const url = `http://127.0.0.1:${await freePort()}`;
  const env = { ...world.environment(), HOME: world.folder, BAO_ADDR: url, BAO_TOKEN: 'root' };
  const words = ['server', '-dev', '-dev-root-token-id=root', '-dev-no-store-token', `-dev-listen-address=${url.slice('http://'.length)}`];
  world.children.push(spawn(PROGRAM, words, { env, stdio: 'ignore' }));
  for (const end = Date.now() + PATIENCE_MS; ; await new Promise((resolve) => setTimeout(resolve, 50))) {
    const enabled = await run(PROGRAM, ['secrets', 'enable', 'transit'], { env }).then(
      () => true,
      () => false,
    );
    if (enabled) break;
    assert.ok(Date.now() < end, 'OpenBao does not start');
  }
  await run(PROGRAM, ['write', '-f', 'transit/keys/issuer', 'type=ed25519'], { env });
  writeFileSync(world.path('token'), 'root\n', { mode: 0o600 });
  const data = world.path('data');
  await world.gantral(
    'keys',
    'init',
    '--data',
    data,
    '--openbao-url',
    url,
    '--openbao-key',
    'issuer',
    '--openbao-token-file',
    world.path('token'),
  );
  mkdirSync(world.path('.gantral-dev'));
  symlinkSync(data, world.path('.gantral-dev/data'));
}

let world;
before(async () => {
  world = await World.start(withOpenBao);
  await world.apply();
});
after(() => world.stop());

const agent = (trust, journal) => new Gantral({ url: world.url, token: () => world.token('refund-agent'), trust, tenant: 'dev', journal });

test('what a delegate of the pinned key signs is believed before and after the gate', async () => {
  const signers = new Set();
  const gantral = agent(world.trust, (receipts) => receipts.forEach(({ envelope }) => signers.add(envelope.signatures[0].keyid)));
  const first = await gantral.start({ workflow: 'refund' });
  await (await first.gate(refund(50))).run(() => 'done');
  const { gateId } = await first.gate(refund(480_000)).catch((thrown) => thrown);
  await world.override(gateId, 48_000);
  const second = await gantral.attach(first.instanceId);
  assert.equal(await (await second.resume()).run((action) => action.parameters.amount_minor), 48_000);
  await second.complete();
  assert.equal(signers.size, 1);
  assert.ok(!world.trust.includes([...signers][0]));
});

test('delegate of a key that has other limits, or is compromised, is not believed', async () => {
  const pinned = JSON.parse(world.trust);
  for (const limit of [{ tenants: ['acme'] }, { compromised_from: 0 }]) {
    const trust = JSON.stringify({ ...pinned, keys: pinned.keys.map((key) => ({ ...key, ...limit })) });
    const attempt = await agent(trust).start({ workflow: 'refund' });
    await assert.rejects(attempt.gate(refund(50)), { code: 'signature_untrusted' });
  }
});
