-- What is told about gates, to whom, and when approvers are reminded.

-- Nothing was ever written to it.
DROP TABLE outbox;

ALTER TABLE gate ADD COLUMN since INTEGER; -- when its present stage began; NULL where nobody is reminded
ALTER TABLE gate ADD COLUMN remind_at INTEGER; -- when the next reminder is due, if one is
CREATE INDEX gate_remind ON gate(remind_at) WHERE remind_at IS NOT NULL;

-- One row for each message and recipient, until it is delivered: the gate as it stood when the message was written.
CREATE TABLE outbox(
  number INTEGER PRIMARY KEY AUTOINCREMENT, -- rises in the order of the commits
  recipient TEXT NOT NULL,
  tenant TEXT NOT NULL,
  kind TEXT NOT NULL,
  percent INTEGER, -- how much of its stage had passed, of a reminder
  at INTEGER NOT NULL, -- when it happened
  gate BLOB NOT NULL,
  instance BLOB NOT NULL,
  version INTEGER NOT NULL,
  workflow TEXT NOT NULL,
  team TEXT NOT NULL,
  roles TEXT NOT NULL, -- separated by spaces, which no role contains
  action_name TEXT NOT NULL,
  opened_at INTEGER NOT NULL,
  deadline INTEGER NOT NULL,
  resolution TEXT,
  queued_at INTEGER NOT NULL, -- from when on its age is counted
  attempts INTEGER NOT NULL,
  due_at INTEGER NOT NULL, -- when it is tried next
  dead INTEGER NOT NULL, -- whether it was given up
  failure TEXT -- why the last attempt failed
) STRICT;
CREATE INDEX outbox_next ON outbox(recipient, number) WHERE dead = 0;
CREATE INDEX outbox_gate ON outbox(recipient, gate, number) WHERE dead = 0;
CREATE INDEX outbox_dead ON outbox(tenant, number) WHERE dead = 1;
CREATE INDEX outbox_dead_of ON outbox(recipient, number) WHERE dead = 1;
