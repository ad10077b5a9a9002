-- What clients did while no server answered them, as they counted it themselves.

CREATE TABLE unobserved(
  tenant TEXT NOT NULL,
  hour INTEGER NOT NULL, -- its beginning
  workflow TEXT NOT NULL,
  action TEXT NOT NULL,
  report BLOB NOT NULL, -- of the client; one that is sent again counts once
  asks INTEGER NOT NULL,
  PRIMARY KEY(tenant, hour, workflow, action, report)
) STRICT, WITHOUT ROWID;
