// What goes wrong on the way, and what is repeated: a call that failed, and a call that failed after the server had done it.

import assert from 'node:assert/strict';
import { appendFileSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { inspect } from 'node:util';
import { Gantral, fileJournal, Refused, stringifyJson, tokenFile, Unanswered } from 'gantral';
import { refund, World } from './world.mjs';

let world;
before(async () => {
  world = await World.start();
  await world.apply();
});
after(() => world.stop());

/// An agent whose calls go through `send`, which is given the real one and how often this path was called before.
function agent(send, options = {}) {
  const calls = new Map();
  const keys = [];
  const between = (url, request) => {
    const path = new URL(url).pathname;
    const before = calls.get(path) ?? 0;
    calls.set(path, before + 1);
    keys.push(request.headers['idempotency-key']);
    return send(() => fetch(url, request), path, before);
  };
  const gantral = new Gantral({
    url: world.url,
    token: () => world.token('refund-agent'),
    trust: world.trust,
    tenant: 'dev',
    fetch: between,
    ...options,
  });
  return Object.assign(gantral, { calls, keys });
}

const lost = () => Promise.reject(new TypeError('the connection broke'));

test('call that never arrived, and one whose answer was lost, are repeated under one key and done once', async () => {
  for (const persisted of [false, true]) {
    const gantral = agent(async (real, _path, before) => {
      if (before > 0) return real();
      if (persisted) await real();
      return lost();
    });
    const attempt = await gantral.start({ workflow: 'refund' });
    await (await attempt.gate(refund(50))).run(() => 'done');
    await attempt.complete();
    const view = await world.instance(attempt.instanceId);
    assert.deepEqual([view.state, view.outcomes.length, view.attempt], ['COMPLETED', 1, 1]);
    assert.ok([...gantral.calls.values()].every((count) => count >= 2));
    // Create, attach, ask, consume, report, complete: each key twice, and none for what is only read.
    assert.equal(new Set(gantral.keys.filter(Boolean)).size, 6);
  }
});

test('server that is not there is tried four times, and then nothing is done', async () => {
  let tried = 0;
  const gantral = agent(() => ((tried += 1), lost()));
  const error = await gantral.createInstance({ workflow: 'refund' }).catch((thrown) => thrown);
  assert.ok(error instanceof Unanswered);
  assert.deepEqual([error.code, tried], ['unreachable', 4]);
});

test('503 is repeated, after a pause that the server names; other refusals are not', async () => {
  const problem = (status, code) =>
    new Response(JSON.stringify({ code, detail: 'd', remedy: 'r', status, title: 't', type: 'u' }), {
      status,
      headers: { 'content-type': 'application/problem+json', 'retry-after': '1' },
    });
  const told = async (status, code, times) => {
    let tried = 0;
    const begun = performance.now();
    const gantral = agent((real) => ((tried += 1) <= times ? problem(status, code) : real()));
    const answer = await gantral.createInstance({ workflow: 'refund' }).catch((error) => error);
    return { tried, answer, took: performance.now() - begun };
  };
  const again = await told(503, 'ledger_unavailable', 1);
  assert.equal(again.tried, 2);
  assert.ok(again.answer.instance && again.took >= 900, `${again.took}`);
  for (const [status, code] of [
    [503, 'read_only'],
    [503, 'evaluator_failed'],
    [409, 'conflict'],
    [429, 'too_many_requests'],
    [500, 'internal'],
  ]) {
    const { tried, answer } = await told(status, code, 1);
    assert.ok(answer instanceof Refused, code);
    assert.deepEqual([tried, answer.code], [1, code]);
  }
});

test('slow server is not waited for longer than was said', async () => {
  const gantral = agent((real) => real(), {
    timeoutMs: 50,
    tries: 2,
    fetch: (_url, { signal }) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason));
      }),
  });
  await assert.rejects(gantral.instance('11111111-1111-4111-8111-111111111111'), { code: 'timeout' });
});

test('answer of somebody else, and one without an end, are no answers', async () => {
  const page = agent(() => Promise.resolve(new Response('<html>', { status: 200 })));
  await assert.rejects(page.createInstance({ workflow: 'refund' }), { code: 'unexpected_answer' });
  for (const body of ['null', '[]', '{}', '{"instance":{},"artifacts":[]}', '{"instance":null,"instance":null}', '{"answer":"MAYBE"}']) {
    const other = agent(() => Promise.resolve(new Response(body, { status: 200 })));
    await assert.rejects(other.createInstance({ workflow: 'refund' }), { code: 'unexpected_answer' }, body);
  }
  const gateway = agent(() => Promise.resolve(new Response('<html>', { status: 502 })));
  await assert.rejects(gateway.createInstance({ workflow: 'refund' }), { code: 'unexpected_answer' });
  const chunk = new Uint8Array(1 << 20);
  const endless = agent(() => Promise.resolve(new Response(new ReadableStream({ pull: (to) => to.enqueue(chunk) }))));
  await assert.rejects(endless.createInstance({ workflow: 'refund' }), { code: 'answer_too_large' });
});

test('token goes to the named server only: no redirect is followed, and nothing leaves this machine in the clear', async () => {
  const seen = [];
  const server = createServer((request, response) => {
    seen.push(request.url);
    response.writeHead(307, { location: '/elsewhere' }).end();
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const redirected = new Gantral({ url: `http://127.0.0.1:${server.address().port}`, token: 't', tries: 1 });
  await assert.rejects(redirected.createInstance({ workflow: 'refund' }), { code: 'unreachable' });
  server.close();
  assert.deepEqual(seen, ['/v1/instances']);
  for (const url of ['http://gantral.example.org', 'ftp://localhost', 'https://me:hunter2@localhost', 'nothing']) {
    assert.throws(
      () => new Gantral({ url, token: 't' }),
      (error) => error.code === 'option_unusable' && !error.message.includes('hunter2'),
    );
  }
});

test('token is read anew for each call, and once more when it was renewed meanwhile', async () => {
  const path = world.path('agent.token');
  writeFileSync(path, 'an.old.token\n');
  const gantral = agent(
    async (real) => {
      const response = await real();
      writeFileSync(path, world.token('refund-agent'));
      return response;
    },
    { token: tokenFile(path) },
  );
  assert.ok((await gantral.createInstance({ workflow: 'refund' })).instance);
  writeFileSync(path, 'of no use\n\n with lines');
  await assert.rejects(
    gantral.createInstance({ workflow: 'refund' }),
    (error) => error.code === 'token_unusable' && !error.message.includes('no use'),
  );
  await assert.rejects(new Gantral({ url: world.url, token: tokenFile(world.path('none')) }).instance('x'), { code: 'token_unusable' });
});

test('token is in nothing that is printed', async () => {
  const token = world.token('refund-agent').trim();
  const gantral = new Gantral({ url: world.url, token, trust: world.trust, tenant: 'dev' });
  const attempt = await gantral.start({ workflow: 'refund' });
  const permit = await attempt.gate(refund(50));
  const failed = await new Gantral({ url: 'http://127.0.0.1:1', token, tries: 1 }).instance('i').catch((error) => error);
  const refused = await new Gantral({ url: world.url, token: `${token}x` }).instance('i').catch((error) => error);
  assert.deepEqual([failed.code, refused.code], ['unreachable', 'token_rejected']);
  const printed = [gantral, attempt, permit, failed, refused].map(
    (value) => inspect(value, { depth: 20, showHidden: true }) + JSON.stringify(value),
  );
  for (const secret of [token, 'Bearer', 'eyJ']) assert.ok(!printed.join().includes(secret), secret);
});

test('receipts are durable before the action starts, and a verifier believes them', async () => {
  const journal = world.path('journal.jsonl');
  // A crash has cut the last line off.
  writeFileSync(journal, '{"envelope":');
  const attempt = await agent((real) => real(), { journal: fileJournal(journal) }).start({ workflow: 'refund' });
  const lines = () => readFileSync(journal, 'utf8').split('\n').slice(1, -1);
  const permit = await attempt.gate(refund(50));
  await permit.run(async () => {
    const events = lines().map((line) => JSON.parse(line).event);
    assert.deepEqual(events, ['created', 'attempt_assigned', 'started', 'allowed', 'consumed']);
    await world.gantral('evidence', 'export', attempt.instanceId, '--output', 'early.gantral', '--trust-out', 'early.json');
  });
  // The receipts show that what was exported before the report is not all there is.
  writeFileSync(journal, `${lines().join('\n')}\n`);
  const told = await world.gantral('verify', 'early.gantral', '--trust', 'early.json', '--receipts', journal, '--json');
  assert.deepEqual(JSON.parse(told).codes, ['N_MORE_EXISTS', 'N_PREFIX']);
  const made = world.path('made.jsonl');
  await fileJournal(made)([{ sequence: 0 }]);
  assert.equal(statSync(made).mode & 0o777, 0o600);
});

test('action whose receipt cannot be kept does not start', async () => {
  const journal = (receipts) => {
    if (receipts.some(({ event }) => event === 'consumed')) throw new Error('the disk is full');
  };
  const attempt = await agent((real) => real(), { journal }).start({ workflow: 'refund' });
  await assert.rejects(attempt.gate(refund(50)), /the disk is full/);
  await assert.rejects(fileJournal(world.path('none/journal.jsonl'))([{ sequence: 0 }]), { code: 'journal_failed' });
});

test('journal that is moved away while it is written holds every line in one of the two files', async () => {
  const [journal, moved] = [world.path('moving.jsonl'), world.path('moved.jsonl')];
  const keep = fileJournal(journal);
  appendFileSync(journal, '');
  const kept = Array.from({ length: 50 }, (_, sequence) => keep([{ sequence }]));
  await kept[0];
  renameSync(journal, moved);
  await Promise.all(kept);
  await keep([{ sequence: 50 }]);
  const lines = readFileSync(journal, 'utf8') + readFileSync(moved, 'utf8');
  for (let sequence = 0; sequence <= 50; sequence++) assert.ok(lines.includes(`${stringifyJson({ sequence })}\n`), `${sequence}`);
});

test('action that was done and could not be reported is told apart from one that failed, and is reported late', async () => {
  let away = false;
  const attempt = await agent((real) => (away ? lost() : real()), { tries: 1 }).start({ workflow: 'refund' });
  const permit = await attempt.gate(refund(50));
  const error = await permit
    .run(() => {
      away = true;
      return { refund: 'r-1' };
    })
    .catch((thrown) => thrown);
  assert.deepEqual(
    [error.code, error.status, error.result, error.cause.code],
    ['unreported', 'SUCCEEDED', { refund: 'r-1' }, 'unreachable'],
  );
  away = false;
  await permit.succeeded(error.result);
  assert.equal((await world.instance(attempt.instanceId)).outcomes[0].status, 'SUCCEEDED');
});

test('process that slept past the time in which it had to start does not start, and says so', async (t) => {
  const attempt = await agent((real) => real()).start({ workflow: 'refund' });
  const permit = await attempt.gate(refund(50));
  const now = performance.now();
  t.mock.method(performance, 'now', () => now + 3_600_000);
  await assert.rejects(
    permit.run(() => assert.fail('acted')),
    { code: 'too_late' },
  );
  t.mock.restoreAll();
  assert.equal((await world.instance(attempt.instanceId)).outcomes[0].status, 'FAILED');
});
