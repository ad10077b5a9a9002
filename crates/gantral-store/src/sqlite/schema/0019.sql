-- How much of each tenant there is, counted in the transaction that adds it or takes it away, so that a limit is a comparison and not a search.

CREATE TABLE tenant_use(
  tenant TEXT NOT NULL,
  slot INTEGER NOT NULL, -- always 0 here, where one thread writes
  open INTEGER NOT NULL, -- instances that can still move
  bytes INTEGER NOT NULL, -- of envelopes, of what opens commitments, of human evidence, and of policy bundles
  PRIMARY KEY(tenant, slot)
) STRICT, WITHOUT ROWID;

INSERT INTO tenant_use(tenant, slot, open, bytes)
  SELECT tenant, 0, sum(open), sum(bytes) FROM (
    SELECT tenant, sum(open) AS open, 0 AS bytes FROM instance GROUP BY tenant
    UNION ALL
    SELECT tenant, 0, sum(length(envelope)) FROM artifact GROUP BY tenant
    UNION ALL
    SELECT a.tenant, 0, sum(length(s.plaintext)) FROM snapshot s JOIN artifact a ON a.number = s.artifact
      WHERE s.plaintext IS NOT NULL GROUP BY a.tenant
    UNION ALL
    SELECT tenant, 0, sum(length(content)) FROM human_evidence GROUP BY tenant
    UNION ALL
    SELECT tenant, 0, sum(length(bytes)) FROM policy_bundle GROUP BY tenant
  ) GROUP BY tenant;
