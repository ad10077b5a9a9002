-- Logs that stand still: one that may not take an artifact grows no further, and the others do.

-- `sequencer.taken` says up to where everything is in a log, but for the tenants that have a row here: what they have from
-- `number` on is in none. The row goes when their log has caught up.
CREATE TABLE log_held(
  tenant TEXT PRIMARY KEY NOT NULL,
  number INTEGER NOT NULL -- the first artifact of the tenant that its log has not taken
) STRICT, WITHOUT ROWID;
