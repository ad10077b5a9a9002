-- What of each tenant is in the archive. Rows are only ever added.

CREATE TABLE archive(
  tenant TEXT NOT NULL,
  segment INTEGER NOT NULL,
  size INTEGER NOT NULL, -- how many leaves of the tenant's log are in the archive with it
  number INTEGER NOT NULL, -- of the last artifact in it
  head BLOB NOT NULL CHECK(length(head) = 32), -- the digest of the object that names everything in it
  version TEXT, -- of that object, where the storage keeps versions
  PRIMARY KEY(tenant, segment)
) STRICT, WITHOUT ROWID;

CREATE TABLE archived(
  tenant TEXT NOT NULL,
  name TEXT NOT NULL,
  digest BLOB NOT NULL CHECK(length(digest) = 32),
  version TEXT,
  PRIMARY KEY(tenant, name)
) STRICT, WITHOUT ROWID;
