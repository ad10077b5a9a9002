-- Instances that ended and whose content was erased because it had been kept for as long as is configured: they are not looked at again.
CREATE TABLE content_erased(
  tenant text NOT NULL COLLATE "C",
  instance bytea NOT NULL,
  erased_at bigint NOT NULL,
  PRIMARY KEY(tenant, instance)
);
