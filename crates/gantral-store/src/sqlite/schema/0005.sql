-- What workflows that count it have spent and reserved.

CREATE TABLE spending(
  tenant TEXT NOT NULL,
  kind TEXT NOT NULL CHECK(kind IN ('instance', 'workflow', 'team')),
  name TEXT NOT NULL,
  period TEXT NOT NULL, -- '' is always, else a month as 2026-01 or a day as 2026-01-31, of UTC
  spent INTEGER NOT NULL,
  reserved INTEGER NOT NULL,
  changes INTEGER NOT NULL,
  PRIMARY KEY(tenant, kind, name, period)
) STRICT, WITHOUT ROWID;

-- What a consumed grant is expected to cost, until its outcome is known.
CREATE TABLE reservation(
  tenant TEXT NOT NULL,
  id BLOB NOT NULL, -- the grant
  instance BLOB NOT NULL,
  workflow TEXT NOT NULL,
  team TEXT NOT NULL,
  amount INTEGER NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY(tenant, id)
) STRICT, WITHOUT ROWID;
