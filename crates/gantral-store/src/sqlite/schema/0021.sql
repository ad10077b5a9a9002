-- Instances that ended and whose content was erased because it had been kept for as long as is configured: they are not looked at again.
CREATE TABLE content_erased(
  tenant TEXT NOT NULL,
  instance BLOB NOT NULL,
  erased_at INTEGER NOT NULL,
  PRIMARY KEY(tenant, instance)
) STRICT, WITHOUT ROWID;
