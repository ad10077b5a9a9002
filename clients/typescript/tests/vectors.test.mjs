// The vectors of the specification: what every verifier answers, this one answers too.

import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import * as gantral from 'gantral/verify';

const VECTORS = join(process.env.GANTRAL_REPOSITORY, 'spec/vectors');
const bytes = (hex) => Uint8Array.from(Buffer.from(hex, 'hex'));
const hex = (data) => Buffer.from(data).toString('hex');

const RUN = [];

/// Runs each case of a list of primitives: `judge` answers, and the answer is the published one.
function primitives(name, judge) {
  RUN.push(name);
  test(`primitives: ${name}`, async () => {
    const cases = JSON.parse(readFileSync(join(VECTORS, `primitives/${name}.json`), 'utf8'));
    assert.ok(cases.length > 0);
    for (const given of cases) assert.deepEqual(await judge(given), given.result, JSON.stringify(given));
  });
}

primitives('json', ({ hex: text, profile }) => {
  try {
    return { canonical: gantral.stringify(gantral.parse(bytes(text), profile === 'artifact' ? gantral.ARTIFACT : gantral.DOCUMENT)) };
  } catch (error) {
    return { refused: error.refusal };
  }
});

primitives('pae', ({ payloadType, payload }) => hex(gantral.preAuthEncoding(payloadType, bytes(payload))));

primitives('ed25519', async ({ key, message, signature }) => {
  const good = await gantral.PublicKey.fromHex(key)?.verifies(bytes(message), bytes(signature));
  return good ? 'valid' : 'invalid';
});

primitives('es256', async ({ key, message, signature }) =>
  (await gantral.verifiesEs256(key, bytes(message), bytes(signature))) ? 'valid' : 'invalid',
);

primitives('merkle', async ({ flags: [about], path, root, size, ...given }) => {
  const [hashes, whole] = [path.map(bytes), bytes(root)];
  const good =
    about === 'inclusion'
      ? await gantral.isIncluded(bytes(given.leaf), given.index, size, whole, hashes)
      : await gantral.isBeginning({ size: given.old_size, root: bytes(given.old_root) }, { size, root: whole }, hashes);
  return good ? 'valid' : 'invalid';
});

primitives('notes', async ({ flags: [about], key, note }) => {
  const checkpoint = gantral.Checkpoint.read(Buffer.from(note));
  return checkpoint === null
    ? { signed: 'none' }
    : checkpoint.signedBy(await gantral.NoteKey.read(key, about === 'witness' ? 'witness' : 'log'));
});

/// What each kind of hash is of.
const HASHES = {
  artifact: ({ payload }) => gantral.artifactHash(bytes(payload)),
  commitment: ({ label, salt, plaintext }) => gantral.commitment(label, bytes(salt), bytes(plaintext)),
  instance_tag: ({ tenant, instance }) => gantral.instanceTag(tenant, instance),
  governance_tag: ({ tenant }) => gantral.governanceTag(tenant),
  key_id: ({ key }) => gantral.keyId(bytes(key)),
  leaf: ({ issuer, ...leaf }) => hex(gantral.leafBytes({ ...leaf, keyId: issuer })),
  rules: ({ text }) => gantral.labelled('gantral/semantics/v1', Buffer.from(text)),
};
primitives('hashes', (given) => HASHES[given.flags[0]](given));

test('every list of primitives is run', () => {
  const lists = readdirSync(join(VECTORS, 'primitives')).map((name) => name.replace('.json', ''));
  assert.deepEqual(lists.sort(), [...RUN].sort());
});

/// A client knows no place in the log, so that a key which was compromised at some place proves nothing to it.
const isPlaceless = (folder) => !/"compromised_from": ?[0-9]/.test(readFileSync(join(folder, 'trust.json'), 'utf8'));

test('every member of a valid bundle is an artifact that a client reads and believes', async () => {
  let read = 0;
  for (const folder of folders((expect) => expect.verdict === 'VALID' && !expect.codes.includes('N_UNAUTH')).filter(isPlaceless)) {
    const trust = await gantral.Trust.read(readFileSync(join(folder, 'trust.json')));
    for (const delegation of files(join(folder, 'bundle/keys'), '.delegation.json')) await trust.addDelegation(readFileSync(delegation));
    for (const file of files(join(folder, 'bundle/artifacts'), '.dsse.json')) {
      const envelope = gantral.readEnvelope(gantral.parse(readFileSync(file)), gantral.ARTIFACT_TYPE);
      const statement = await gantral.readArtifact(envelope.payload);
      const signer = await trust.signerOf(envelope, gantral.ARTIFACT_TYPE);
      assert.ok(signer?.permits(statement.tenant_id, statement.log_origin, statement.issued_at), file);
      read += 1;
    }
  }
  assert.ok(read > 300, `${read} artifacts`);
});

test('what no pinned key, and no delegate of one, has signed for tenant and log is not believed', async () => {
  const about = /^(30[0-3]|312|313|315|316|841|842|843)-/;
  let refused = 0;
  for (const folder of folders(() => true).filter((path) => about.test(path.split('/').at(-1)))) {
    const trust = await gantral.Trust.read(readFileSync(join(folder, 'trust.json')));
    for (const delegation of files(join(folder, 'bundle/keys'), '.delegation.json')) await trust.addDelegation(readFileSync(delegation));
    const believed = [];
    for (const file of files(join(folder, 'bundle/artifacts'), '.dsse.json')) {
      const envelope = gantral.readEnvelope(gantral.parse(readFileSync(file)), gantral.ARTIFACT_TYPE);
      const signer = await trust.signerOf(envelope, gantral.ARTIFACT_TYPE);
      const statement = signer && (await gantral.readArtifact(envelope.payload));
      believed.push(signer !== null && signer.permits(statement.tenant_id, statement.log_origin, statement.issued_at));
    }
    assert.ok(believed.includes(false), folder);
    refused += 1;
  }
  assert.equal(refused, 11);
});

/// The bundles about the form of what is signed: one artifact of each is none.
const FORMS = /^(100|10[1-9]|11[0-9]|12[0-9]|13[0-3]|135)-/;
const MALFORMED = ['E_NONCANONICAL', 'E_UNICODE', 'E_LIMIT', 'E_SCHEMA', 'E_MATRIX', 'E_NO_POLICY'];

test('what is signed and has not the form of an artifact is refused, and told from a later version', async () => {
  let refused = 0;
  for (const folder of folders(() => true).filter((path) => FORMS.test(path.split('/').at(-1)))) {
    const { codes } = JSON.parse(readFileSync(join(folder, 'expect.json')));
    const expected = codes.some((code) => MALFORMED.includes(code)) ? 'artifact_malformed' : 'artifact_unsupported';
    const found = [];
    for (const file of files(join(folder, 'bundle/artifacts'), '.dsse.json')) {
      const envelope = gantral.readEnvelope(JSON.parse(readFileSync(file)), gantral.ARTIFACT_TYPE);
      // A payload over its limit has no envelope at all.
      if (envelope === null) found.push('artifact_malformed');
      else await gantral.readArtifact(envelope.payload).catch((error) => found.push(error.code));
    }
    assert.deepEqual(found, [expected], folder);
    refused += 1;
  }
  assert.equal(refused, 35);
});

function folders(wanted) {
  const all = readdirSync(join(VECTORS, 'bundles')).map((name) => join(VECTORS, 'bundles', name));
  return all.filter((folder) => existsSync(join(folder, 'trust.json')) && wanted(JSON.parse(readFileSync(join(folder, 'expect.json')))));
}

function files(folder, ending) {
  return existsSync(folder)
    ? readdirSync(folder)
        .filter((name) => name.endsWith(ending))
        .map((name) => join(folder, name))
    : [];
}
