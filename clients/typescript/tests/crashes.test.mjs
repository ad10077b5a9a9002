// A process that dies at each step of a governed action: the action is done at most once, and its outcome is told truthfully.

import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { World } from './world.mjs';

const HERE = resolve(fileURLToPath(new URL('..', import.meta.url)));

/// Acts under a policy that asks a human about `amount`, and dies at the point that its input names: before a call is sent, after its
/// answer has come, or while it acts.
const AGENT = `
import { appendFileSync } from 'node:fs';
import { exitStatus, Gantral } from 'gantral';
const die = () => process.kill(process.pid, 'SIGKILL');
const attempt = await Gantral.fromEnvironment();
const { point, amount, ledger } = attempt.context.input;
const real = globalThis.fetch;
globalThis.fetch = async (url, request) => {
  const call = request.method === 'POST' && url.split('/').at(-1);
  if (point === 'before ' + call) die();
  const response = await real(url, request);
  if (point === 'after ' + call) die();
  return response;
};
const settled = attempt.context.outcomes.some(({ status }) => status === 'SUCCEEDED');
const refund = attempt.governed(() => ({ name: 'refund', target: 'order/1', parameters: { amount_minor: amount } }), () => {
  appendFileSync(ledger, attempt.number + '\\n');
  if (point === 'acting') die();
});
if (!settled) await refund().catch((error) => (process.exitCode = exitStatus(error)));
`;

let world;
before(async () => {
  world = await World.start();
  await world.apply();
  writeFileSync(join(HERE, 'crashing.mjs'), AGENT);
  await world.apply('crashing', `[run]\nqueue = 'default'\nlease = '30s'\ncommand = ['node', 'crashing.mjs']`);
  world.startRunner(['--command-dir', HERE]);
});
after(() => world.stop());

let count = 0;

/// Starts an agent that dies at a point; returns its instance and the file of what it did.
async function dying(point, amount = 50) {
  const name = `crash-${(count += 1)}`;
  const ledger = world.path(`${name}.ledger`);
  writeFileSync(world.path('input.json'), JSON.stringify({ point, amount, ledger }));
  return { id: await world.gantral('instances', 'create', 'crashing', '--input', 'input.json'), ledger };
}

const times = (ledger) => (existsSync(ledger) ? world.text(ledger.split('/').at(-1)).trim().split('\n').length : 0);
const statuses = ({ outcomes }) => outcomes.map(({ status }) => status);

test('process that dies before its grant is used up has done nothing, and nothing is said to have been done', async () => {
  for (const point of ['before authority', 'after authority', 'before consume']) {
    const { id, ledger } = await dying(point);
    assert.deepEqual([statuses(await world.reach(id, 'TERMINATED')), times(ledger)], [[], 0], point);
  }
});

test('process that dies after its grant was used up leaves an outcome that nobody knows, and is not launched again', async () => {
  for (const [point, done] of [
    ['after consume', 0],
    ['acting', 1],
    ['before outcome', 1],
  ]) {
    const { id, ledger } = await dying(point);
    const { attempt, state } = await world.until(id, (view) => statuses(view).includes('UNKNOWN'));
    assert.deepEqual([attempt, state, times(ledger)], [1, 'RUNNING', done], point);
  }
});

test('process that dies after it has reported was done, once', async () => {
  const { id, ledger } = await dying('after outcome');
  assert.deepEqual([statuses(await world.reach(id, 'TERMINATED')), times(ledger)], [['SUCCEEDED'], 1]);
});

test('what a human found out is not done again by the process that goes on', async () => {
  const { id, ledger } = await dying('acting');
  const { outcomes } = await world.until(id, (view) => statuses(view).includes('UNKNOWN'));
  const found = ['--status', 'SUCCEEDED', '--next', 'continue', '--reason', 'it is in the ledger'];
  await world.gantral('instances', 'reconcile', id, outcomes[0].grant_id, ...found);
  const { attempt } = await world.reach(id, 'COMPLETED');
  assert.deepEqual([attempt, times(ledger)], [2, 1]);
  assert.equal(await world.verdict(id), 'VALID');
});
