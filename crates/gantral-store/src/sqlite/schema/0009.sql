-- Which published policies are evaluated beside those in force. Configuration and no authority: it is changed and forgotten.

CREATE TABLE policy_candidate(
  tenant TEXT NOT NULL,
  kind TEXT NOT NULL CHECK(kind IN ('tenant', 'team', 'workflow')),
  name TEXT NOT NULL, -- of the team or workflow; empty for the tenant
  version BLOB NOT NULL,
  set_at INTEGER NOT NULL,
  PRIMARY KEY(tenant, kind, name)
) STRICT, WITHOUT ROWID;
