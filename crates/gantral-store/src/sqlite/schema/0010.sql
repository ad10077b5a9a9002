-- Changes of the rules that one person proposed and another has to put in force. What was proposed never changes; a proposal ends once.

CREATE TABLE proposal(
  number INTEGER PRIMARY KEY, -- in the order in which they were made
  tenant TEXT NOT NULL,
  id BLOB NOT NULL,
  same BLOB NOT NULL, -- equal for proposals of the same change upon the same ground
  proposer TEXT NOT NULL,
  body BLOB NOT NULL, -- what was proposed, by whom and when
  commitment BLOB, -- of why
  salt BLOB, -- of the commitment; both are gone when the proposal has ended
  why BLOB,
  proposed_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  ending TEXT CHECK(ending IN ('confirmed', 'withdrawn', 'expired')), -- NULL while it is open
  ended_at INTEGER,
  ended_by TEXT, -- NULL when nobody ended it
  sealed INTEGER, -- the sequence of the governance artifact that was sealed with its end
  UNIQUE(tenant, id)
) STRICT;
CREATE INDEX proposal_open ON proposal(tenant, number) WHERE ending IS NULL;

CREATE TRIGGER proposal_delete BEFORE DELETE ON proposal BEGIN SELECT RAISE(ABORT, 'proposals never change, and end once'); END;
CREATE TRIGGER proposal_insert BEFORE INSERT ON proposal
  WHEN EXISTS(SELECT 1 FROM proposal WHERE number = new.number OR (tenant = new.tenant AND id = new.id))
  BEGIN SELECT RAISE(ABORT, 'proposals never change, and end once'); END;
CREATE TRIGGER proposal_update BEFORE UPDATE ON proposal
  WHEN old.ending IS NOT NULL OR new.ending IS NULL OR new.number <> old.number OR new.tenant <> old.tenant OR new.id <> old.id
    OR new.same <> old.same OR new.proposer <> old.proposer OR new.body <> old.body OR new.commitment IS NOT old.commitment
    OR new.proposed_at <> old.proposed_at OR new.expires_at <> old.expires_at OR new.salt IS NOT NULL OR new.why IS NOT NULL
  BEGIN SELECT RAISE(ABORT, 'proposals never change, and end once'); END;
