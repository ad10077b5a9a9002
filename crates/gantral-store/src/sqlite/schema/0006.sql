-- Signatures of policy bundles that were checked, each with the archive that was signed. Of a version the newest that is pinned counts, else the
-- newest.

CREATE TABLE policy_signature(
  number INTEGER PRIMARY KEY,
  tenant TEXT NOT NULL,
  version BLOB NOT NULL,
  key TEXT NOT NULL,
  algorithm TEXT NOT NULL,
  scope TEXT,
  pinned INTEGER NOT NULL CHECK(pinned IN (0, 1)), -- whether the revision is the version
  bytes BLOB NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX policy_signature_version ON policy_signature(tenant, version, number);

CREATE TRIGGER policy_signature_update BEFORE UPDATE ON policy_signature
  BEGIN SELECT RAISE(ABORT, 'policy signatures never change'); END;
CREATE TRIGGER policy_signature_delete BEFORE DELETE ON policy_signature
  BEGIN SELECT RAISE(ABORT, 'policy signatures never change'); END;
CREATE TRIGGER policy_signature_insert BEFORE INSERT ON policy_signature
  WHEN EXISTS(SELECT 1 FROM policy_signature WHERE number = new.number)
  BEGIN SELECT RAISE(ABORT, 'policy signatures never change'); END;
