-- The authenticators of approvers, and what they said. Which enrolments are in force is said by the governance chain alone.

CREATE TABLE enrolment(
  number INTEGER PRIMARY KEY,
  tenant TEXT NOT NULL,
  entry BLOB NOT NULL CHECK(length(entry) = 32),
  person TEXT NOT NULL,
  issuer TEXT, -- who asked for it; NULL once they are anonymous
  subject TEXT,
  payload BLOB NOT NULL,
  assertion BLOB NOT NULL, -- that the authenticator is here, and signs
  asked_at INTEGER NOT NULL,
  envelope BLOB, -- as the directory signed it; NULL until it has
  UNIQUE(tenant, entry)
) STRICT;

CREATE INDEX enrolment_by_person ON enrolment(tenant, person, number);

CREATE TABLE human_evidence(
  tenant TEXT NOT NULL,
  instance BLOB NOT NULL,
  digest BLOB NOT NULL CHECK(length(digest) = 32),
  content BLOB NOT NULL,
  PRIMARY KEY(tenant, instance, digest)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER enrolment_signed BEFORE UPDATE OF entry, person, payload, envelope ON enrolment WHEN old.envelope IS NOT NULL
  BEGIN SELECT RAISE(ABORT, 'what the directory signed never changes'); END;
CREATE TRIGGER enrolment_delete BEFORE DELETE ON enrolment WHEN old.envelope IS NOT NULL
  BEGIN SELECT RAISE(ABORT, 'what the directory signed never changes'); END;
CREATE TRIGGER human_evidence_update BEFORE UPDATE ON human_evidence
  BEGIN SELECT RAISE(ABORT, 'evidence never changes'); END;
CREATE TRIGGER human_evidence_delete BEFORE DELETE ON human_evidence
  BEGIN SELECT RAISE(ABORT, 'evidence never changes'); END;
CREATE TRIGGER human_evidence_insert BEFORE INSERT ON human_evidence
  WHEN EXISTS(SELECT 1 FROM human_evidence
              WHERE tenant = new.tenant AND instance = new.instance AND digest = new.digest)
  BEGIN SELECT RAISE(ABORT, 'evidence never changes'); END;
