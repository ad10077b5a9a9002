-- How often each standing rule of a policy has granted something, in each workflow.

CREATE TABLE rule_use(
  tenant TEXT NOT NULL,
  workflow TEXT NOT NULL,
  rule TEXT NOT NULL,
  uses INTEGER NOT NULL,
  last_at INTEGER NOT NULL,
  PRIMARY KEY(tenant, workflow, rule)
) STRICT, WITHOUT ROWID;
