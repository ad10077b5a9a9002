-- How much of each tenant there is, counted in the transaction that adds it or takes it away, so that a limit is a comparison and not a search.
-- Several servers count at once: each connection has a slot, which it shares with few, and the sum is what there is.

CREATE TABLE tenant_use(
  tenant text COLLATE "C" NOT NULL,
  slot bigint NOT NULL,
  open bigint NOT NULL, -- instances that can still move; less than none in a slot that saw more of them end than begin
  bytes bigint NOT NULL, -- of envelopes, of what opens commitments, of human evidence, and of policy bundles
  PRIMARY KEY(tenant, slot)
) WITH (fillfactor = 50); -- rows are rewritten all the time: in their page

INSERT INTO tenant_use(tenant, slot, open, bytes)
  SELECT tenant, 0, sum(open)::bigint, sum(bytes)::bigint FROM (
    SELECT tenant, count(*) AS open, 0 AS bytes FROM instance WHERE open GROUP BY tenant
    UNION ALL
    SELECT tenant, 0, sum(octet_length(envelope)) FROM artifact GROUP BY tenant
    UNION ALL
    SELECT a.tenant, 0, sum(octet_length(s.plaintext)) FROM snapshot s JOIN artifact a ON a.number = s.artifact
      WHERE s.plaintext IS NOT NULL GROUP BY a.tenant
    UNION ALL
    SELECT tenant, 0, sum(octet_length(content)) FROM human_evidence GROUP BY tenant
    UNION ALL
    SELECT tenant, 0, sum(octet_length(bytes)) FROM policy_bundle GROUP BY tenant
  ) of_each GROUP BY tenant;
