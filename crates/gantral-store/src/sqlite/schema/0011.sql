-- Who is logged in to the console. No authority: whoever ends a session, or loses this table, makes people log in again.

CREATE TABLE session(
  id BLOB PRIMARY KEY CHECK(length(id) = 32), -- a digest of what the browser holds, which stands nowhere
  issuer TEXT NOT NULL,
  subject TEXT NOT NULL,
  client TEXT NOT NULL,
  claims TEXT NOT NULL, -- as they were verified; what they mean is read anew for each request
  started INTEGER NOT NULL,
  ends INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX session_by_end ON session(ends);
CREATE INDEX session_by_person ON session(issuer, subject, started);
