-- Several servers upon one database. Both tables are new, so that the step holds nobody up.

-- Which process does what only one should do at a time, until when, and the how manyeth of those that have. A process that was stopped for
-- longer than that is refused by its number, which rises whenever the holder changes.
CREATE TABLE duty(
  name text COLLATE "C" PRIMARY KEY,
  holder bytea NOT NULL, -- empty when it was given back
  fence bigint NOT NULL,
  until timestamptz NOT NULL -- by the clock of the server
);

-- What the logs consist of, as a file server would have it: names and bytes. Tenant is in every key: the name of a log begins with it.
CREATE TABLE log_object(
  log text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,
  bytes bytea NOT NULL,
  PRIMARY KEY(log, name)
);
-- Hashes do not get smaller by being compressed.
ALTER TABLE log_object ALTER COLUMN bytes SET STORAGE EXTERNAL;
