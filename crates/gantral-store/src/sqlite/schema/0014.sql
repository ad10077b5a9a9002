-- Messages about proposals beside those about gates, and when those were told who are not told as often as they might be.

CREATE TABLE outbox_of_all(
  number INTEGER PRIMARY KEY AUTOINCREMENT, -- rises in the order of the commits
  recipient TEXT NOT NULL,
  tenant TEXT NOT NULL,
  kind TEXT NOT NULL,
  percent INTEGER, -- how much of its stage had passed, of a reminder
  at INTEGER NOT NULL, -- when it happened
  subject BLOB NOT NULL, -- the gate or the proposal
  opened_at INTEGER NOT NULL,
  deadline INTEGER NOT NULL,
  resolution TEXT,
  -- Of a gate, as it stood when the message was written.
  instance BLOB,
  version INTEGER,
  workflow TEXT,
  team TEXT,
  roles TEXT, -- separated by spaces, which no role contains
  action_name TEXT,
  -- Of a proposal.
  proposes TEXT, -- what would be sealed
  scope TEXT, -- for a tenant, a team or a workflow
  scope_name TEXT, -- of which name; NULL for a tenant
  queued_at INTEGER NOT NULL, -- from when on its age is counted
  attempts INTEGER NOT NULL,
  due_at INTEGER NOT NULL, -- when it is tried next
  dead INTEGER NOT NULL, -- whether it was given up
  failure TEXT, -- why the last attempt failed
  CHECK((instance IS NULL) = (proposes IS NOT NULL))
) STRICT;
INSERT INTO outbox_of_all(number, recipient, tenant, kind, percent, at, subject, opened_at, deadline, resolution, instance, version,
    workflow, team, roles, action_name, queued_at, attempts, due_at, dead, failure)
  SELECT number, recipient, tenant, kind, percent, at, gate, opened_at, deadline, resolution, instance, version,
    workflow, team, roles, action_name, queued_at, attempts, due_at, dead, failure
  FROM outbox;
-- Numbers go on where they were: a dead letter is known by its number.
DELETE FROM sqlite_sequence WHERE name = 'outbox_of_all';
UPDATE sqlite_sequence SET name = 'outbox_of_all' WHERE name = 'outbox';
DROP TABLE outbox;
ALTER TABLE outbox_of_all RENAME TO outbox;
CREATE INDEX outbox_next ON outbox(recipient, number) WHERE dead = 0;
CREATE INDEX outbox_subject ON outbox(recipient, subject, number) WHERE dead = 0;
CREATE INDEX outbox_dead ON outbox(tenant, number) WHERE dead = 1;
CREATE INDEX outbox_dead_of ON outbox(recipient, number) WHERE dead = 1;

-- When a recipient was told that is told no more often than so often; what is older than that counts is forgotten.
CREATE TABLE told(
  recipient TEXT NOT NULL,
  at INTEGER NOT NULL,
  count INTEGER NOT NULL, -- messages at that instant
  PRIMARY KEY(recipient, at)
) STRICT, WITHOUT ROWID;
