// Authorities and certificates of files: what stands before the real server ends TLS, and demands a certificate of its clients.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { createServer } from 'node:https';
import { after, before, test } from 'node:test';
import { Gantral, Misused, Unanswered } from 'gantral';
import { refund, World } from './world.mjs';

let world;
let tls;
const path = (name) => world.path(name);
const openssl = (...words) => execFileSync('openssl', words, { cwd: world.folder, stdio: 'pipe' });

/// Makes a certificate for this machine, signed by another one or by itself.
function issue(name, by) {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', `${name}.key`, '-subj', `/CN=${name}`];
  if (by === undefined) {
    openssl('req', '-x509', ...key, '-days', '2', '-out', `${name}.pem`);
    return;
  }
  writeFileSync(path('leaf.cnf'), 'subjectAltName = IP:127.0.0.1\nbasicConstraints = critical,CA:FALSE\n');
  openssl('req', ...key, '-out', `${name}.csr`);
  const words = ['-CA', `${by}.pem`, '-CAkey', `${by}.key`, '-CAcreateserial', '-days', '2', '-extfile', 'leaf.cnf'];
  openssl('x509', '-req', '-in', `${name}.csr`, ...words, '-out', `${name}.pem`);
}

before(async () => {
  world = await World.start();
  await world.apply();
  issue('ca');
  issue('server', 'ca');
  issue('agent', 'ca');
  issue('stranger');
  const [key, cert, ca] = ['server.key', 'server.pem', 'ca.pem'].map((name) => readFileSync(path(name)));
  tls = createServer({ key, cert, ca, requestCert: true, rejectUnauthorized: true }, (asked, answer) => {
    if (asked.url.startsWith('/elsewhere')) {
      answer.writeHead(307, { location: world.url }).end();
      return;
    }
    const { host: _, ...headers } = asked.headers;
    const passed = request(world.url + asked.url, { method: asked.method, headers }, (got) => {
      answer.writeHead(got.statusCode, got.headers);
      got.pipe(answer);
    });
    asked.pipe(passed);
  });
  await new Promise((listening) => tls.listen(0, '127.0.0.1', listening));
});
after(() => {
  tls.closeAllConnections();
  tls.close();
  return world.stop();
});

const agent = (files, options = {}) =>
  new Gantral({
    url: `https://127.0.0.1:${tls.address().port}${options.below ?? ''}`,
    token: () => world.token('refund-agent'),
    trust: world.trust,
    tenant: 'dev',
    tries: 1,
    tls: files,
  });

test('an agent with a certificate of its own asks, acts and reports through TLS', async () => {
  const files = { caFile: path('ca.pem'), certificateFile: path('agent.pem'), certificateKeyFile: path('agent.key') };
  const attempt = await agent(files).start({ workflow: 'refund', trigger: 'PAYMENT', input: { order: '1001' } });
  const permit = await attempt.gate(refund(50));
  assert.deepEqual(await permit.run(() => ({ refund: 'r-1' })), { refund: 'r-1' });
  // Certificate and key in one file.
  writeFileSync(path('both.pem'), readFileSync(path('agent.pem'), 'utf8') + readFileSync(path('agent.key'), 'utf8'));
  const seen = await agent({ caFile: path('ca.pem'), certificateFile: path('both.pem') }).instance(attempt.instanceId);
  assert.equal(seen.instance_id, attempt.instanceId);
});

test('nothing is asked of a server that is not believed, without a certificate, or with that of a stranger', async () => {
  const own = { certificateFile: path('agent.pem'), certificateKeyFile: path('agent.key') };
  const stranger = { certificateFile: path('stranger.pem'), certificateKeyFile: path('stranger.key') };
  for (const files of [own, { caFile: path('ca.pem') }, { caFile: path('ca.pem'), ...stranger }]) {
    await assert.rejects(agent(files).createInstance({ workflow: 'refund' }), Unanswered);
  }
});

test('no answer sends a token elsewhere', async () => {
  const files = { caFile: path('ca.pem'), certificateFile: path('agent.pem'), certificateKeyFile: path('agent.key') };
  await assert.rejects(agent(files, { below: '/elsewhere' }).createInstance({ workflow: 'refund' }), Unanswered);
});

test('files that cannot be used are said at once', () => {
  for (const files of [{ caFile: path('none.pem') }, { certificateFile: path('ca.pem') }, { certificateKeyFile: path('agent.key') }]) {
    assert.throws(() => agent(files), (error) => error instanceof Misused && error.code === 'option_unusable');
  }
});
