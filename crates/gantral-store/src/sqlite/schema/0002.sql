-- The transparency log of each tenant, and its governance chain.

-- What a leaf says that is not in the row yet. NULL in rows from before there was a log: their envelopes tell.
ALTER TABLE artifact ADD COLUMN terminal INTEGER; -- whether the chain ends here
ALTER TABLE artifact ADD COLUMN signer BLOB; -- the first eight bytes of the id of the key that signed

-- The head of a tenant's governance chain, whose artifacts stand in `artifact` with an instance of sixteen zero bytes.
CREATE TABLE governance(
  tenant TEXT PRIMARY KEY NOT NULL,
  head_number INTEGER NOT NULL,
  head_sequence INTEGER NOT NULL,
  head_hash BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- One row: only who holds the newest fence lets logs grow, and every artifact up to the number `taken` is in one.
CREATE TABLE sequencer(
  one INTEGER PRIMARY KEY CHECK(one = 1),
  fence INTEGER NOT NULL,
  taken INTEGER NOT NULL
) STRICT;
INSERT INTO sequencer(one, fence, taken) VALUES(1, 0, 0);

CREATE TABLE log(
  tenant TEXT PRIMARY KEY NOT NULL,
  size INTEGER NOT NULL,
  root BLOB NOT NULL,
  checkpoint TEXT NOT NULL -- the signed note
) STRICT, WITHOUT ROWID;

-- Checkpoints that witnesses have cosigned. The log may have grown since: witnesses take longer than a round. All are kept: they are
-- the clock that is not ours.
CREATE TABLE log_cosigned(
  tenant TEXT NOT NULL,
  size INTEGER NOT NULL,
  root BLOB NOT NULL,
  checkpoint TEXT NOT NULL, -- the signed note, with their lines
  witnesses INTEGER NOT NULL, -- how many
  PRIMARY KEY(tenant, size)
) STRICT, WITHOUT ROWID;
CREATE INDEX log_cosigned_by ON log_cosigned(tenant, witnesses, size);

-- Which artifacts a log took in one round, and from which position on. One row for a round and tenant: a row for each
-- artifact would cost the writer more than all else of a round.
CREATE TABLE log_round(
  tenant TEXT NOT NULL,
  first INTEGER NOT NULL, -- the number of the first of them
  position INTEGER NOT NULL, -- its place in the log
  numbers BLOB NOT NULL, -- all of them, as runs
  PRIMARY KEY(tenant, first)
) STRICT, WITHOUT ROWID;

-- The chains that have a first leaf, by half of their tag. A row is written for each chain once.
CREATE TABLE log_chain(
  tag BLOB PRIMARY KEY NOT NULL
) STRICT, WITHOUT ROWID;

-- Which artifacts are the last of their chain in a log, and may be followed: one bit for each number. A table of chains with
-- their last sequence would dirty a page for each artifact; these bits stand by the order of the commits.
CREATE TABLE log_last(
  page INTEGER PRIMARY KEY,
  bits BLOB NOT NULL
) STRICT;
