// An agent in Node.js that asks before it refunds.
//
// It saves what it has worked out, and asks. If a human must decide, this process ends with status 3. When the human has decided, a
// runner starts a new process, which finds what was saved and does what was approved. The model is left out: `propose` is where it
// would think.

import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { exitStatus, Gantral, Waiting } from 'gantral';

const DATA = process.env.EXAMPLE_DATA ?? fileURLToPath(new URL('data', import.meta.url));
const USUAL_INPUT = { order: 'order/1001', amount_minor: 480_000, reason: 'arrived broken' };

/// What a model would say: the same again costs money and time, so it is saved.
const propose = ({ order, amount_minor, reason }) => ({
  name: 'refund',
  target: order,
  parameters: { amount_minor, currency: 'EUR', reason },
});

const say = (text) => console.log(`[pid ${process.pid}] ${text}`);

/// Returns what an earlier process has saved for this instance, or works it out and saves it.
function proposal({ instanceId, context }) {
  const saved = join(DATA, `${instanceId}.json`);
  if (existsSync(saved)) return JSON.parse(readFileSync(saved, 'utf8'));
  const action = propose(context.input ?? USUAL_INPUT);
  writeFileSync(saved, JSON.stringify(action));
  return action;
}

async function main() {
  const attempt = await Gantral.fromEnvironment();
  mkdirSync(DATA, { recursive: true });
  if (attempt.context.outcomes.some(({ status }) => status === 'SUCCEEDED')) {
    return say('done by an earlier process, as a human found out');
  }
  const refund = attempt.governed(
    (action) => action,
    // As approved, not as proposed: a human may have changed it. The grant stands for this refund, once.
    (action, { grantId, enforced }) => {
      if (!enforced) say('only observed');
      const entry = { grant_id: grantId, pid: process.pid, action };
      appendFileSync(join(DATA, 'ledger.jsonl'), `${JSON.stringify(entry)}\n`);
      return { ledger: 'ledger.jsonl' };
    },
    { trigger: 'PAYMENT', step: 'refund' },
  );
  // Saved before anybody is asked: whatever happens to this process now, the next one finds it.
  say(`result: ${JSON.stringify(await refund(proposal(attempt)))}`);
}

main().catch((error) => {
  say(error instanceof Waiting ? error.message : `${error.code ?? ''} ${error.message}`);
  process.exitCode = exitStatus(error);
});
