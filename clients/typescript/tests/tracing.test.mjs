// The trace that calls are part of, as a server is told it, with the packages of OpenTelemetry that a program would load.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Gantral } from 'gantral';

const require = createRequire(join(process.env.GANTRAL_PARTS, 'typescript/'));
const { context, ROOT_CONTEXT, trace } = require('@opentelemetry/api');
const { AsyncLocalStorageContextManager } = require('@opentelemetry/context-async-hooks');

const GIVEN = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
const SPAN = { traceId: 'ab'.padStart(32, '0'), spanId: 'cd'.padStart(16, '0'), traceFlags: 1 };

let server;
let url;
let seen = [];
before(async () => {
  server = createServer((request, response) => {
    seen.push(request.headers.traceparent);
    response.writeHead(404, { 'content-type': 'text/plain' }).end('nothing');
  });
  await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
  url = `http://127.0.0.1:${server.address().port}`;
});
after(() => server.close());

/// Makes one call and returns the `traceparent` that came with it.
async function told(options = {}) {
  seen = [];
  const gantral = new Gantral({ url, token: 'a-token', tries: 1, ...options });
  await assert.rejects(gantral.createInstance({ workflow: 'refund' }));
  assert.equal(seen.length, 1);
  return seen[0];
}

test('without OpenTelemetry nothing is said but what is given', async () => {
  assert.equal(await told(), undefined);
  assert.equal(await told({ traceparent: GIVEN }), GIVEN);
  assert.equal(await told({ traceparent: () => GIVEN }), GIVEN);
  const broken = () => {
    throw new Error('no exporter');
  };
  for (const traceparent of ['', GIVEN.toUpperCase(), `${GIVEN}-more`, broken]) {
    assert.equal(await told({ traceparent }), undefined);
  }
});

test('call is part of the active span of the program, and what is given precedes it', async () => {
  assert.ok(context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable()));
  const active = trace.setSpanContext(ROOT_CONTEXT, SPAN);
  await context.with(active, async () => {
    assert.equal(await told(), `00-${SPAN.traceId}-${SPAN.spanId}-01`);
    assert.equal(await told({ traceparent: GIVEN }), GIVEN);
  });
  const silent = trace.setSpanContext(ROOT_CONTEXT, { ...SPAN, traceFlags: 0 });
  assert.equal(await context.with(silent, () => told()), `00-${SPAN.traceId}-${SPAN.spanId}-00`);
  assert.equal(await told(), undefined);
});
