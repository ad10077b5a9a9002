-- Authority history is append-only; everything else is an index of it. Tenant is in every key.
-- A chain is a list: `instance.head_number` names its last row, and each row names the one before it. An index by instance
-- would dirty a page of the file more for every append.
CREATE TABLE artifact(
  number INTEGER PRIMARY KEY, -- rises in the order of the commits
  previous INTEGER, -- the number of the artifact before it in the chain
  tenant TEXT NOT NULL,
  instance BLOB NOT NULL,
  sequence INTEGER NOT NULL,
  hash BLOB NOT NULL,
  envelope BLOB NOT NULL
) STRICT;

CREATE TABLE instance(
  tenant TEXT NOT NULL,
  id BLOB NOT NULL,
  head_number INTEGER NOT NULL,
  head_sequence INTEGER NOT NULL,
  head_hash BLOB NOT NULL,
  state INTEGER NOT NULL,
  mode INTEGER NOT NULL,
  open INTEGER NOT NULL,
  waiting_since INTEGER,
  due_at INTEGER,
  call_key BLOB,
  team TEXT NOT NULL,
  workflow TEXT NOT NULL,
  workflow_version BLOB NOT NULL,
  session TEXT,
  created_by TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY(tenant, id)
) STRICT, WITHOUT ROWID;
-- Lists run from the newest; only the state of a row ever changes its place in one of these.
CREATE INDEX instance_created ON instance(tenant, created_at, id);
CREATE INDEX instance_state ON instance(tenant, state, created_at, id);
CREATE INDEX instance_team ON instance(tenant, team, created_at, id);
CREATE INDEX instance_workflow ON instance(tenant, workflow, created_at, id);
CREATE INDEX instance_session ON instance(tenant, session, created_at, id) WHERE session IS NOT NULL;
CREATE INDEX instance_due ON instance(due_at) WHERE due_at IS NOT NULL;
CREATE UNIQUE INDEX instance_call ON instance(tenant, call_key) WHERE open = 1 AND call_key IS NOT NULL;

CREATE TABLE gate(
  tenant TEXT NOT NULL,
  id BLOB NOT NULL,
  instance BLOB NOT NULL,
  version INTEGER NOT NULL,
  workflow TEXT NOT NULL,
  team TEXT NOT NULL,
  roles TEXT NOT NULL, -- separated by spaces, which no role contains
  action_name TEXT NOT NULL,
  deadline INTEGER NOT NULL,
  opened_at INTEGER NOT NULL,
  context BLOB NOT NULL,
  open INTEGER NOT NULL,
  resolution TEXT,
  decided_by TEXT,
  closed_at INTEGER,
  PRIMARY KEY(tenant, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX gate_of_instance ON gate(tenant, instance) WHERE open = 1;
CREATE INDEX gate_deadline ON gate(tenant, open, deadline, id);
-- One row for each role of a gate: the inbox of a role is one walk of this table.
CREATE TABLE gate_role(
  tenant TEXT NOT NULL,
  role TEXT NOT NULL,
  open INTEGER NOT NULL,
  deadline INTEGER NOT NULL,
  gate BLOB NOT NULL,
  PRIMARY KEY(tenant, role, open, deadline, gate)
) STRICT, WITHOUT ROWID;

-- What is written often stands by its instance or in the order of the commits: a random key of its own would dirty a page
-- of the file for each row.
CREATE TABLE grant_row(
  tenant TEXT NOT NULL,
  instance BLOB NOT NULL,
  id BLOB NOT NULL,
  expires_at INTEGER NOT NULL,
  consumed_by INTEGER,
  PRIMARY KEY(tenant, instance, id)
) STRICT, WITHOUT ROWID;

-- Tenant and instance are those of the artifact that a snapshot came with.
CREATE TABLE snapshot(
  artifact INTEGER NOT NULL,
  commitment BLOB NOT NULL,
  label TEXT NOT NULL,
  salt BLOB,
  plaintext BLOB,
  erased_at INTEGER,
  PRIMARY KEY(artifact, commitment),
  CHECK((erased_at IS NULL) = (salt IS NOT NULL) AND (salt IS NULL) = (plaintext IS NULL))
) STRICT, WITHOUT ROWID;

CREATE TABLE task(
  tenant TEXT NOT NULL,
  instance BLOB NOT NULL,
  queue TEXT NOT NULL,
  team TEXT NOT NULL,
  ready_at INTEGER NOT NULL,
  PRIMARY KEY(tenant, instance)
) STRICT, WITHOUT ROWID;
CREATE INDEX task_queue ON task(tenant, queue, ready_at, instance);
-- The newest lease of an instance: the attempt is the fencing number.
CREATE TABLE lease(
  tenant TEXT NOT NULL,
  instance BLOB NOT NULL,
  attempt INTEGER NOT NULL,
  executor TEXT NOT NULL,
  until INTEGER NOT NULL,
  ended INTEGER NOT NULL,
  PRIMARY KEY(tenant, instance)
) STRICT, WITHOUT ROWID;
CREATE INDEX lease_until ON lease(until) WHERE ended = 0;

CREATE TABLE outbox(
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  tenant TEXT NOT NULL,
  instance BLOB NOT NULL,
  topic TEXT NOT NULL,
  body BLOB NOT NULL
) STRICT;

CREATE TABLE idempotency(
  number INTEGER PRIMARY KEY, -- rises in the order of the commits, and so about in the order of expiry
  scope BLOB NOT NULL UNIQUE, -- the digest of tenant, principal, attempt, route and key
  body BLOB NOT NULL,
  instance BLOB NOT NULL,
  first_sequence INTEGER NOT NULL,
  last_sequence INTEGER NOT NULL,
  status INTEGER NOT NULL,
  answer BLOB NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT;

CREATE TABLE workflow(
  number INTEGER PRIMARY KEY,
  tenant TEXT NOT NULL,
  id TEXT NOT NULL,
  version TEXT NOT NULL,
  digest BLOB NOT NULL,
  team TEXT NOT NULL,
  definition BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  UNIQUE(tenant, id, version)
) STRICT;
CREATE INDEX workflow_digest ON workflow(tenant, digest);
CREATE INDEX workflow_latest ON workflow(tenant, id, number);

CREATE TABLE policy_bundle(
  tenant TEXT NOT NULL,
  version BLOB NOT NULL,
  bytes BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY(tenant, version)
) STRICT;
CREATE INDEX policy_bundle_created ON policy_bundle(tenant, created_at, version);

CREATE TABLE activation(
  tenant TEXT NOT NULL,
  workflow TEXT NOT NULL,
  number INTEGER NOT NULL,
  version BLOB NOT NULL,
  actor TEXT NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY(tenant, workflow, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE person(
  tenant TEXT NOT NULL,
  issuer TEXT NOT NULL,
  subject TEXT NOT NULL,
  salt BLOB NOT NULL,
  PRIMARY KEY(tenant, issuer, subject)
) STRICT, WITHOUT ROWID;

CREATE TABLE freeze(
  tenant TEXT PRIMARY KEY NOT NULL,
  epoch INTEGER NOT NULL,
  frozen INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- REPLACE deletes without asking the DELETE triggers, so that a second row under one key is refused before it.
CREATE TRIGGER artifact_update BEFORE UPDATE ON artifact BEGIN SELECT RAISE(ABORT, 'artifacts are append-only'); END;
CREATE TRIGGER artifact_delete BEFORE DELETE ON artifact BEGIN SELECT RAISE(ABORT, 'artifacts are append-only'); END;
CREATE TRIGGER artifact_insert BEFORE INSERT ON artifact
  WHEN EXISTS(SELECT 1 FROM artifact WHERE number = new.number)
  BEGIN SELECT RAISE(ABORT, 'artifacts are append-only'); END;
CREATE TRIGGER workflow_update BEFORE UPDATE ON workflow BEGIN SELECT RAISE(ABORT, 'workflows never change'); END;
CREATE TRIGGER workflow_delete BEFORE DELETE ON workflow BEGIN SELECT RAISE(ABORT, 'workflows never change'); END;
CREATE TRIGGER workflow_insert BEFORE INSERT ON workflow
  WHEN EXISTS(SELECT 1 FROM workflow WHERE tenant = new.tenant AND id = new.id AND version = new.version
              OR number = new.number)
  BEGIN SELECT RAISE(ABORT, 'workflows never change'); END;
CREATE TRIGGER policy_bundle_update BEFORE UPDATE ON policy_bundle
  BEGIN SELECT RAISE(ABORT, 'policy bundles never change'); END;
CREATE TRIGGER policy_bundle_delete BEFORE DELETE ON policy_bundle
  BEGIN SELECT RAISE(ABORT, 'policy bundles never change'); END;
CREATE TRIGGER policy_bundle_insert BEFORE INSERT ON policy_bundle
  WHEN EXISTS(SELECT 1 FROM policy_bundle WHERE tenant = new.tenant AND version = new.version)
  BEGIN SELECT RAISE(ABORT, 'policy bundles never change'); END;
CREATE TRIGGER activation_update BEFORE UPDATE ON activation
  BEGIN SELECT RAISE(ABORT, 'activations are append-only'); END;
CREATE TRIGGER activation_delete BEFORE DELETE ON activation
  BEGIN SELECT RAISE(ABORT, 'activations are append-only'); END;
CREATE TRIGGER activation_insert BEFORE INSERT ON activation
  WHEN EXISTS(SELECT 1 FROM activation
              WHERE tenant = new.tenant AND workflow = new.workflow AND number = new.number)
  BEGIN SELECT RAISE(ABORT, 'activations are append-only'); END;
