// Damaged input: whatever a stranger sends gets an error of this package, and is not believed.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import * as gantral from 'gantral/verify';
import { REPOSITORY } from './world.mjs';

const BUNDLE = join(REPOSITORY, 'spec/vectors/bundles/840-delegated');
/// Every so many bytes one is damaged: prime, so that all places of a record come up.
const STRIDE = 13;
/// Bits, brackets and what strict readers stumble over.
const DAMAGES = [(byte) => byte ^ 1, (byte) => byte ^ 0x80, () => 0x22, () => 0x5b, () => 0x2d];

/// Yields damaged copies, and the beginnings of the whole.
function* damaged(whole) {
  for (let at = 0; at < whole.length; at += STRIDE) {
    for (const damage of DAMAGES) {
      const copy = Uint8Array.from(whole);
      copy[at] = damage(copy[at]);
      if (copy[at] !== whole[at]) yield copy;
    }
    yield whole.subarray(0, at);
  }
}

/// Runs `read` on damaged input; what it throws must have a code, and what it returns is given to `look`.
async function survives(whole, read, look = () => {}) {
  let tried = 0;
  for (const copy of damaged(whole)) {
    tried += 1;
    let found;
    try {
      found = await read(copy);
    } catch (error) {
      assert.equal(typeof error.code, 'string', error.stack);
      continue;
    }
    await look(found, copy);
  }
  assert.ok(tried > 50, `${tried}`);
}

const file = (path) => new Uint8Array(readFileSync(join(BUNDLE, path)));

async function believing() {
  const trust = await gantral.Trust.read(file('trust.json'));
  const [delegation] = [...JSON.parse(readFileSync(join(BUNDLE, 'bundle/bundle.json'))).files]
    .map(({ path }) => path)
    .filter((path) => path.endsWith('.delegation.json'));
  return { trust, delegation: file(`bundle/${delegation}`) };
}

test('no damaged envelope is believed to have signed something else', async () => {
  const { trust, delegation } = await believing();
  assert.equal(await trust.addDelegation(delegation), true);
  const envelope = file('bundle/artifacts/000001.dsse.json');
  const { payload } = gantral.readEnvelope(gantral.parse(envelope), gantral.ARTIFACT_TYPE);
  const read = async (copy) => {
    const opened = gantral.readEnvelope(gantral.parse(copy), gantral.ARTIFACT_TYPE);
    return opened && (await trust.signerOf(opened, gantral.ARTIFACT_TYPE)) && opened;
  };
  await survives(envelope, read, (opened) => assert.ok(opened === null || Buffer.compare(opened.payload, payload) === 0));
});

test('no damaged delegation counts', async () => {
  const { trust, delegation } = await believing();
  const whole = gantral.stringify(gantral.parse(delegation));
  await survives(
    delegation,
    async (copy) => (await trust.addDelegation(copy)) && copy,
    (copy) => {
      // What is not signed may be spelled otherwise: white space, and nothing else.
      if (copy) assert.equal(gantral.stringify(gantral.parse(copy)), whole);
    },
  );
});

test('damaged artifacts, trust files and notes are read by nobody without a word', async () => {
  const { payload } = gantral.readEnvelope(gantral.parse(file('bundle/artifacts/000001.dsse.json')), gantral.ARTIFACT_TYPE);
  await survives(payload, gantral.readArtifact);
  await survives(file('trust.json'), gantral.Trust.read);
  const [{ note }] = JSON.parse(readFileSync(join(REPOSITORY, 'spec/vectors/primitives/notes.json')));
  await survives(new Uint8Array(Buffer.from(note)), gantral.Checkpoint.read);
});

test('what is read and written again is the same value', async () => {
  const { payload } = gantral.readEnvelope(gantral.parse(file('bundle/artifacts/000001.dsse.json')), gantral.ARTIFACT_TYPE);
  let read = 0;
  await survives(payload, gantral.parse, (value) => {
    read += 1;
    assert.equal(gantral.stringify(gantral.parse(Buffer.from(gantral.stringify(value)))), gantral.stringify(value));
  });
  assert.ok(read > 50, `${read}`);
});
