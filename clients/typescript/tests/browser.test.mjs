// A real browser: verification in it, and calls of a real server.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { REPOSITORY, World } from './world.mjs';

const DIST = join(fileURLToPath(new URL('..', import.meta.url)), 'node_modules/gantral/dist');
const { chromium } = createRequire(pathToFileURL(join(process.env.GANTRAL_PARTS, 'node/')))('playwright-core');

let world;
let browser;
before(async () => {
  world = await World.start();
  await world.apply();
  browser = await chromium.launch({
    executablePath: process.env.GANTRAL_BROWSER ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
});
after(async () => {
  await browser?.close();
  await world.stop();
});

/// Opens a page of `origin`, under which the package is served beside whatever is there.
async function page(origin) {
  const opened = await browser.newPage();
  await opened.route(`${origin}/page/**`, (route) => {
    const name = new URL(route.request().url()).pathname.slice('/page/'.length);
    if (name === '') return route.fulfill({ contentType: 'text/html', body: '<!doctype html><title>page</title>' });
    return route.fulfill({ contentType: 'text/javascript', body: readFileSync(join(DIST, name), 'utf8') });
  });
  await opened.goto(`${origin}/page/`);
  return opened;
}

/// What the page answers a small refund with, asked of the server at `url` by the package of its own origin.
const pay = ({ url, token, trust }) =>
  import('/page/index.js').then(async ({ Gantral }) => {
    try {
      const attempt = await new Gantral({ url, token, trust, tenant: 'dev', tries: 1 }).start({ workflow: 'refund' });
      const refund = attempt.governed(
        () => ({ name: 'refund', target: 'order/1001', parameters: { amount_minor: 50 } }),
        (action) => action.parameters,
      );
      const done = await refund();
      // No runner has launched a page.
      const secret = await attempt.secret('pay-key').catch(({ code }) => code);
      const { state } = await attempt.complete();
      return { done, secret, state, instance: attempt.instanceId, verifies: attempt.verifies };
    } catch (error) {
      return { code: error.code };
    }
  });

test('page of the same origin asks, verifies, acts and reports', async () => {
  const opened = await page(world.url);
  const asked = { url: world.url, token: world.token('refund-agent').trim(), trust: world.trust };
  const { instance, ...said } = await opened.evaluate(pay, asked);
  assert.deepEqual(said, {
    done: { amount_minor: 50, currency: 'EUR' },
    secret: 'secret_not_for_this',
    state: 'COMPLETED',
    verifies: true,
  });
  assert.equal(await world.verdict(instance), 'VALID');
  const changed = JSON.parse(world.trust);
  changed.keys[0].tenants = ['acme'];
  assert.deepEqual(await opened.evaluate(pay, { ...asked, trust: JSON.stringify(changed) }), { code: 'signature_untrusted' });
});

test('page of another origin is given no answer', async () => {
  const server = createServer((_request, response) => response.end());
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const opened = await page(`http://localhost:${server.address().port}`);
  const asked = { url: world.url, token: world.token('refund-agent').trim(), trust: world.trust };
  assert.deepEqual(await opened.evaluate(pay, asked), { code: 'unreachable' });
  server.close();
});

test('primitives have the published results in a browser too', async () => {
  const opened = await page(world.url);
  const read = (name) => JSON.parse(readFileSync(join(REPOSITORY, `spec/vectors/primitives/${name}.json`), 'utf8'));
  const wrong = await opened.evaluate(
    async ({ ed25519, json }) => {
      const gantral = await import('/page/verify.js');
      const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (digits) => parseInt(digits, 16));
      const found = [];
      for (const given of ed25519) {
        const good = await gantral.PublicKey.fromHex(given.key)?.verifies(bytes(given.message), bytes(given.signature));
        if ((good ? 'valid' : 'invalid') !== given.result) found.push(given);
      }
      for (const given of json) {
        let answer;
        try {
          answer = {
            canonical: gantral.stringify(
              gantral.parse(bytes(given.hex), given.profile === 'artifact' ? gantral.ARTIFACT : gantral.DOCUMENT),
            ),
          };
        } catch (error) {
          answer = { refused: error.refusal };
        }
        if (JSON.stringify(answer) !== JSON.stringify(given.result)) found.push(given);
      }
      return { found, judged: ed25519.length + json.length };
    },
    { ed25519: read('ed25519'), json: read('json') },
  );
  assert.deepEqual(wrong.found, []);
  assert.ok(wrong.judged > 80);
});
