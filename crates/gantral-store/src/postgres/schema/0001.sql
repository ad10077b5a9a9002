-- Authority history is append-only; everything else is an index of it. Tenant is in every key.
-- All tables stand in the schema `gantral`, which the session's search path names. Whole numbers are `bigint`, digests and identifiers
-- `bytea`, and names compare byte by byte (`COLLATE "C"`), whatever the database prefers.

-- Numbers of artifacts. A number is taken before its commit, so that a smaller one may commit after a greater one: whoever takes one holds,
-- until its transaction has ended, a shared advisory lock that is named by where the sequence stood. `numbers.rs` reads from these locks up
-- to which number nothing can commit any more.
CREATE SEQUENCE artifact_number MINVALUE 0 START 0;
SELECT setval('artifact_number', 0);

-- A chain is a list: `instance.head_number` names its last row, and each row names the one before it.
CREATE TABLE artifact(
  number bigint PRIMARY KEY, -- rises along a chain; given by the trigger, whatever the insert says
  previous bigint, -- the number of the artifact before it in the chain
  tenant text COLLATE "C" NOT NULL,
  instance bytea NOT NULL,
  sequence bigint NOT NULL,
  hash bytea NOT NULL,
  envelope bytea NOT NULL,
  terminal boolean NOT NULL, -- whether the chain ends here
  signer bytea NOT NULL, -- the first eight bytes of the id of the key that signed
  -- The last line of defence: whatever a transaction was told, a place of a chain is filled once.
  CONSTRAINT artifact_place UNIQUE(tenant, instance, sequence)
);
CREATE FUNCTION number_artifact() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  floor bigint;
BEGIN
  SELECT last_value INTO floor FROM gantral.artifact_number;
  -- The first word is `GNTL`, the second the lower half of the floor.
  PERFORM pg_catalog.pg_advisory_xact_lock_shared((1196315724::bigint << 32) | (floor & 4294967295));
  NEW.number := pg_catalog.nextval('gantral.artifact_number');
  RETURN NEW;
END $$;
-- The number up to which every transaction that took one has ended. Reads the sequence first: whoever took a number up to there held its lock
-- before, and holds it still or has ended.
CREATE FUNCTION artifact_horizon() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  newest bigint;
  behind bigint;
BEGIN
  SELECT last_value INTO newest FROM gantral.artifact_number;
  -- Half of a floor is in its lock; the other half is that of the newest number, since no transaction lasts for two thousand million others.
  SELECT max(distance) INTO behind FROM (
    SELECT (newest - objid::bigint) & 4294967295 AS distance FROM pg_catalog.pg_locks
    WHERE locktype = 'advisory' AND classid = 1196315724 AND objsubid = 1
      AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())) AS floors
  WHERE distance < 2147483648;
  RETURN newest - coalesce(behind, 0);
END $$;
CREATE TRIGGER artifact_numbered BEFORE INSERT ON artifact FOR EACH ROW EXECUTE FUNCTION number_artifact();

CREATE TABLE instance(
  tenant text COLLATE "C" NOT NULL,
  id bytea NOT NULL,
  head_number bigint NOT NULL,
  head_sequence bigint NOT NULL,
  head_hash bytea NOT NULL,
  state bigint NOT NULL,
  mode bigint NOT NULL,
  open boolean NOT NULL,
  waiting_since bigint,
  due_at bigint,
  call_key bytea,
  team text COLLATE "C" NOT NULL,
  workflow text COLLATE "C" NOT NULL,
  workflow_version bytea NOT NULL,
  session text COLLATE "C",
  created_by text COLLATE "C" NOT NULL,
  created_at bigint NOT NULL,
  PRIMARY KEY(tenant, id)
);
CREATE INDEX instance_created ON instance(tenant, created_at, id);
CREATE INDEX instance_state ON instance(tenant, state, created_at, id);
CREATE INDEX instance_team ON instance(tenant, team, created_at, id);
CREATE INDEX instance_workflow ON instance(tenant, workflow, created_at, id);
CREATE INDEX instance_session ON instance(tenant, session, created_at, id) WHERE session IS NOT NULL;
CREATE INDEX instance_due ON instance(due_at) WHERE due_at IS NOT NULL;
CREATE UNIQUE INDEX instance_call ON instance(tenant, call_key) WHERE open AND call_key IS NOT NULL;
-- Calls that have ended, by their key, so that what humans refused a moment ago is not asked again.
CREATE INDEX instance_ended_call ON instance(tenant, call_key, state, created_at) WHERE NOT open AND call_key IS NOT NULL;

CREATE TABLE gate(
  tenant text COLLATE "C" NOT NULL,
  id bytea NOT NULL,
  instance bytea NOT NULL,
  version bigint NOT NULL,
  workflow text COLLATE "C" NOT NULL,
  team text COLLATE "C" NOT NULL,
  roles text COLLATE "C" NOT NULL, -- separated by spaces, which no role contains
  action_name text COLLATE "C" NOT NULL,
  deadline bigint NOT NULL,
  opened_at bigint NOT NULL,
  context bytea NOT NULL,
  open boolean NOT NULL,
  resolution text COLLATE "C",
  decided_by text COLLATE "C",
  closed_at bigint,
  since bigint, -- when its present stage began; NULL where nobody is reminded
  remind_at bigint, -- when the next reminder is due, if one is
  PRIMARY KEY(tenant, id)
);
CREATE UNIQUE INDEX gate_of_instance ON gate(tenant, instance) WHERE open;
CREATE INDEX gate_deadline ON gate(tenant, open, deadline, id);
-- How long the gate that has waited longest has done so is one step into this.
CREATE INDEX gate_open ON gate(opened_at) WHERE open;
CREATE INDEX gate_remind ON gate(remind_at) WHERE remind_at IS NOT NULL;
-- The gates of a workflow that were decided last, newest first.
CREATE INDEX gate_closed ON gate(tenant, workflow, closed_at, id) WHERE NOT open;
-- One row for each role of a gate: the inbox of a role is one walk of this table.
CREATE TABLE gate_role(
  tenant text COLLATE "C" NOT NULL,
  role text COLLATE "C" NOT NULL,
  open boolean NOT NULL,
  deadline bigint NOT NULL,
  gate bytea NOT NULL,
  PRIMARY KEY(tenant, role, open, deadline, gate)
);

CREATE TABLE grant_row(
  tenant text COLLATE "C" NOT NULL,
  instance bytea NOT NULL,
  id bytea NOT NULL,
  expires_at bigint NOT NULL,
  consumed_by bigint,
  PRIMARY KEY(tenant, instance, id)
);

-- Tenant and instance are those of the artifact that a snapshot came with.
CREATE TABLE snapshot(
  artifact bigint NOT NULL,
  commitment bytea NOT NULL,
  label text COLLATE "C" NOT NULL,
  salt bytea,
  plaintext bytea,
  erased_at bigint,
  PRIMARY KEY(artifact, commitment),
  CHECK((erased_at IS NULL) = (salt IS NOT NULL) AND (salt IS NULL) = (plaintext IS NULL))
);

CREATE TABLE task(
  tenant text COLLATE "C" NOT NULL,
  instance bytea NOT NULL,
  queue text COLLATE "C" NOT NULL,
  team text COLLATE "C" NOT NULL,
  ready_at bigint NOT NULL,
  PRIMARY KEY(tenant, instance)
);
CREATE INDEX task_queue ON task(tenant, queue, ready_at, instance);
CREATE INDEX task_ready ON task(ready_at);
-- The newest lease of an instance: the attempt is the fencing number.
CREATE TABLE lease(
  tenant text COLLATE "C" NOT NULL,
  instance bytea NOT NULL,
  attempt bigint NOT NULL,
  executor text COLLATE "C" NOT NULL,
  until bigint NOT NULL,
  ended boolean NOT NULL,
  PRIMARY KEY(tenant, instance)
);
CREATE INDEX lease_until ON lease(until) WHERE NOT ended;

CREATE TABLE idempotency(
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- about in the order of expiry
  scope bytea NOT NULL UNIQUE, -- the digest of tenant, principal, attempt, route and key
  body bytea NOT NULL,
  instance bytea NOT NULL,
  first_sequence bigint NOT NULL,
  last_sequence bigint NOT NULL,
  status bigint NOT NULL,
  answer bytea NOT NULL,
  expires_at bigint NOT NULL
);

CREATE TABLE workflow(
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  version text COLLATE "C" NOT NULL,
  digest bytea NOT NULL,
  team text COLLATE "C" NOT NULL,
  definition bytea NOT NULL,
  created_at bigint NOT NULL,
  UNIQUE(tenant, id, version)
);
CREATE INDEX workflow_digest ON workflow(tenant, digest);
CREATE INDEX workflow_latest ON workflow(tenant, id, number);

CREATE TABLE policy_bundle(
  tenant text COLLATE "C" NOT NULL,
  version bytea NOT NULL,
  bytes bytea NOT NULL,
  created_at bigint NOT NULL,
  PRIMARY KEY(tenant, version)
);
CREATE INDEX policy_bundle_created ON policy_bundle(tenant, created_at, version);

-- Signatures of policy bundles that were checked, each with the archive that was signed. Of a version the newest that is pinned counts,
-- else the newest.
CREATE TABLE policy_signature(
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant text COLLATE "C" NOT NULL,
  version bytea NOT NULL,
  key text COLLATE "C" NOT NULL,
  algorithm text COLLATE "C" NOT NULL,
  scope text COLLATE "C",
  pinned boolean NOT NULL, -- whether the revision is the version
  bytes bytea NOT NULL,
  created_at bigint NOT NULL
);
CREATE INDEX policy_signature_version ON policy_signature(tenant, version, number);

-- Which published policies are evaluated beside those in force. Configuration and no authority: it is changed and forgotten.
CREATE TABLE policy_candidate(
  tenant text COLLATE "C" NOT NULL,
  kind text COLLATE "C" NOT NULL CHECK(kind IN ('tenant', 'team', 'workflow')),
  name text COLLATE "C" NOT NULL, -- of the team or workflow; empty for the tenant
  version bytea NOT NULL,
  set_at bigint NOT NULL,
  PRIMARY KEY(tenant, kind, name)
);

CREATE TABLE person(
  tenant text COLLATE "C" NOT NULL,
  issuer text COLLATE "C" NOT NULL,
  subject text COLLATE "C" NOT NULL,
  salt bytea NOT NULL,
  PRIMARY KEY(tenant, issuer, subject)
);

-- The head of a tenant's governance chain, whose artifacts stand in `artifact` with an instance of sixteen zero bytes.
CREATE TABLE governance(
  tenant text COLLATE "C" PRIMARY KEY,
  head_number bigint NOT NULL,
  head_sequence bigint NOT NULL,
  head_hash bytea NOT NULL
);

-- One row: only who holds the newest fence lets logs grow, and every artifact up to the number `taken` is in one.
CREATE TABLE sequencer(
  one bigint PRIMARY KEY CHECK(one = 1),
  fence bigint NOT NULL,
  taken bigint NOT NULL
);
INSERT INTO sequencer(one, fence, taken) VALUES(1, 0, 0);

CREATE TABLE log(
  tenant text COLLATE "C" PRIMARY KEY,
  size bigint NOT NULL,
  root bytea NOT NULL,
  checkpoint text COLLATE "C" NOT NULL -- the signed note
);

-- Checkpoints that witnesses have cosigned. The log may have grown since: witnesses take longer than a round. All are kept: they are
-- the clock that is not ours.
CREATE TABLE log_cosigned(
  tenant text COLLATE "C" NOT NULL,
  size bigint NOT NULL,
  root bytea NOT NULL,
  checkpoint text COLLATE "C" NOT NULL, -- the signed note, with their lines
  witnesses bigint NOT NULL, -- how many
  PRIMARY KEY(tenant, size)
);
CREATE INDEX log_cosigned_by ON log_cosigned(tenant, witnesses, size);

-- Which artifacts a log took in one round, and from which position on.
CREATE TABLE log_round(
  tenant text COLLATE "C" NOT NULL,
  first bigint NOT NULL, -- the number of the first of them
  position bigint NOT NULL, -- its place in the log
  numbers bytea NOT NULL, -- all of them, as runs
  PRIMARY KEY(tenant, first)
);

-- The chains that have a first leaf, by half of their tag. A row is written for each chain once.
CREATE TABLE log_chain(
  tag bytea PRIMARY KEY
);

-- Which artifacts are the last of their chain in a log, and may be followed: one bit for each number.
CREATE TABLE log_last(
  page bigint PRIMARY KEY,
  bits bytea NOT NULL
);

-- `sequencer.taken` says up to where everything is in a log, but for the tenants that have a row here: what they have from `number` on is in
-- none. The row goes when their log has caught up.
CREATE TABLE log_held(
  tenant text COLLATE "C" PRIMARY KEY,
  number bigint NOT NULL -- the first artifact of the tenant that its log has not taken
);

-- What of each tenant is in the archive. Rows are only ever added.

CREATE TABLE archive(
  tenant text COLLATE "C" NOT NULL,
  segment bigint NOT NULL,
  size bigint NOT NULL, -- how many leaves of the tenant's log are in the archive with it
  number bigint NOT NULL, -- of the last artifact in it
  head bytea NOT NULL CHECK(octet_length(head) = 32), -- the digest of the object that names everything in it
  version text COLLATE "C", -- of that object, where the storage keeps versions
  PRIMARY KEY(tenant, segment)
);

CREATE TABLE archived(
  tenant text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,
  digest bytea NOT NULL CHECK(octet_length(digest) = 32),
  version text COLLATE "C",
  PRIMARY KEY(tenant, name)
);

-- What workflows that count it have spent and reserved.
CREATE TABLE spending(
  tenant text COLLATE "C" NOT NULL,
  kind text COLLATE "C" NOT NULL CHECK(kind IN ('instance', 'workflow', 'team')),
  name text COLLATE "C" NOT NULL,
  period text COLLATE "C" NOT NULL, -- '' is always, else a month as 2026-01 or a day as 2026-01-31, of UTC
  spent bigint NOT NULL,
  reserved bigint NOT NULL,
  changes bigint NOT NULL,
  PRIMARY KEY(tenant, kind, name, period)
);

-- What a consumed grant is expected to cost, until its outcome is known.
CREATE TABLE reservation(
  tenant text COLLATE "C" NOT NULL,
  id bytea NOT NULL, -- the grant
  instance bytea NOT NULL,
  workflow text COLLATE "C" NOT NULL,
  team text COLLATE "C" NOT NULL,
  amount bigint NOT NULL,
  at bigint NOT NULL,
  PRIMARY KEY(tenant, id)
);

-- How often each standing rule of a policy has granted something, in each workflow.
CREATE TABLE rule_use(
  tenant text COLLATE "C" NOT NULL,
  workflow text COLLATE "C" NOT NULL,
  rule text COLLATE "C" NOT NULL,
  uses bigint NOT NULL,
  last_at bigint NOT NULL,
  PRIMARY KEY(tenant, workflow, rule)
);

-- What clients did while no server answered them, as they counted it themselves.
CREATE TABLE unobserved(
  tenant text COLLATE "C" NOT NULL,
  hour bigint NOT NULL, -- its beginning
  workflow text COLLATE "C" NOT NULL,
  action text COLLATE "C" NOT NULL,
  report bytea NOT NULL, -- of the client; one that is sent again counts once
  asks bigint NOT NULL,
  PRIMARY KEY(tenant, hour, workflow, action, report)
);

-- Messages about gates and proposals. One row for each message and recipient, until it is delivered.
CREATE TABLE outbox(
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- rises along the messages about one gate or proposal
  recipient text COLLATE "C" NOT NULL,
  tenant text COLLATE "C" NOT NULL,
  kind text COLLATE "C" NOT NULL,
  percent bigint, -- how much of its stage had passed, of a reminder
  at bigint NOT NULL, -- when it happened
  subject bytea NOT NULL, -- the gate or the proposal
  opened_at bigint NOT NULL,
  deadline bigint NOT NULL,
  resolution text COLLATE "C",
  -- Of a gate, as it stood when the message was written.
  instance bytea,
  version bigint,
  workflow text COLLATE "C",
  team text COLLATE "C",
  roles text COLLATE "C", -- separated by spaces, which no role contains
  action_name text COLLATE "C",
  -- Of a proposal.
  proposes text COLLATE "C", -- what would be sealed
  scope text COLLATE "C", -- for a tenant, a team or a workflow
  scope_name text COLLATE "C", -- of which name; NULL for a tenant
  queued_at bigint NOT NULL, -- from when on its age is counted
  attempts bigint NOT NULL,
  due_at bigint NOT NULL, -- when it is tried next
  dead boolean NOT NULL, -- whether it was given up
  failure text COLLATE "C", -- why the last attempt failed
  CHECK((instance IS NULL) = (proposes IS NOT NULL))
);
CREATE INDEX outbox_next ON outbox(recipient, number) WHERE NOT dead;
CREATE INDEX outbox_subject ON outbox(recipient, subject, number) WHERE NOT dead;
CREATE INDEX outbox_dead ON outbox(tenant, number) WHERE dead;
CREATE INDEX outbox_dead_of ON outbox(recipient, number) WHERE dead;

-- When a recipient was told that is told no more often than so often; what is older than that counts is forgotten.
CREATE TABLE told(
  recipient text COLLATE "C" NOT NULL,
  at bigint NOT NULL,
  count bigint NOT NULL, -- messages at that instant
  PRIMARY KEY(recipient, at)
);

-- Changes of the rules that one person proposed and another has to put in force. What was proposed never changes; a proposal ends once.
CREATE TABLE proposal(
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- about in the order in which they were made
  tenant text COLLATE "C" NOT NULL,
  id bytea NOT NULL,
  same bytea NOT NULL, -- equal for proposals of the same change upon the same ground
  proposer text COLLATE "C" NOT NULL,
  body bytea NOT NULL, -- what was proposed, by whom and when
  commitment bytea, -- of why
  salt bytea, -- of the commitment; both are gone when the proposal has ended
  why bytea,
  proposed_at bigint NOT NULL,
  expires_at bigint NOT NULL,
  ending text COLLATE "C" CHECK(ending IN ('confirmed', 'withdrawn', 'expired')), -- NULL while it is open
  ended_at bigint,
  ended_by text COLLATE "C", -- NULL when nobody ended it
  sealed bigint, -- the sequence of the governance artifact that was sealed with its end
  UNIQUE(tenant, id)
);
CREATE INDEX proposal_open ON proposal(tenant, number) WHERE ending IS NULL;

-- Who is logged in to the console. No authority: whoever ends a session, or loses this table, makes people log in again.
CREATE TABLE session(
  id bytea PRIMARY KEY CHECK(octet_length(id) = 32), -- a digest of what the browser holds, which stands nowhere
  issuer text COLLATE "C" NOT NULL,
  subject text COLLATE "C" NOT NULL,
  client text COLLATE "C" NOT NULL,
  claims text COLLATE "C" NOT NULL, -- as they were verified; what they mean is read anew for each request
  started bigint NOT NULL,
  ends bigint NOT NULL
);
CREATE INDEX session_by_end ON session(ends);
CREATE INDEX session_by_person ON session(issuer, subject, started);

-- The authenticators of approvers, and what they said. Which enrolments are in force is said by the governance chain alone.
CREATE TABLE enrolment(
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant text COLLATE "C" NOT NULL,
  entry bytea NOT NULL CHECK(octet_length(entry) = 32),
  person text COLLATE "C" NOT NULL,
  issuer text COLLATE "C", -- who asked for it; NULL once they are anonymous
  subject text COLLATE "C",
  payload bytea NOT NULL,
  assertion bytea NOT NULL, -- that the authenticator is here, and signs
  asked_at bigint NOT NULL,
  envelope bytea, -- as the directory signed it; NULL until it has
  UNIQUE(tenant, entry)
);
CREATE INDEX enrolment_by_person ON enrolment(tenant, person, number);

CREATE TABLE human_evidence(
  tenant text COLLATE "C" NOT NULL,
  instance bytea NOT NULL,
  digest bytea NOT NULL CHECK(octet_length(digest) = 32),
  content bytea NOT NULL,
  PRIMARY KEY(tenant, instance, digest)
);

-- What never changes says so itself, with the reason that the trigger names.
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION USING MESSAGE = TG_ARGV[0], ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER artifact_kept BEFORE UPDATE OR DELETE ON artifact
  FOR EACH ROW EXECUTE FUNCTION refuse('artifacts are append-only');
CREATE TRIGGER artifact_emptied BEFORE TRUNCATE ON artifact
  FOR EACH STATEMENT EXECUTE FUNCTION refuse('artifacts are append-only');
CREATE TRIGGER workflow_kept BEFORE UPDATE OR DELETE ON workflow
  FOR EACH ROW EXECUTE FUNCTION refuse('workflows never change');
CREATE TRIGGER workflow_emptied BEFORE TRUNCATE ON workflow
  FOR EACH STATEMENT EXECUTE FUNCTION refuse('workflows never change');
CREATE TRIGGER policy_bundle_kept BEFORE UPDATE OR DELETE ON policy_bundle
  FOR EACH ROW EXECUTE FUNCTION refuse('policy bundles never change');
CREATE TRIGGER policy_bundle_emptied BEFORE TRUNCATE ON policy_bundle
  FOR EACH STATEMENT EXECUTE FUNCTION refuse('policy bundles never change');
CREATE TRIGGER policy_signature_kept BEFORE UPDATE OR DELETE ON policy_signature
  FOR EACH ROW EXECUTE FUNCTION refuse('policy signatures never change');
CREATE TRIGGER policy_signature_emptied BEFORE TRUNCATE ON policy_signature
  FOR EACH STATEMENT EXECUTE FUNCTION refuse('policy signatures never change');
CREATE TRIGGER human_evidence_kept BEFORE UPDATE OR DELETE ON human_evidence
  FOR EACH ROW EXECUTE FUNCTION refuse('evidence never changes');
CREATE TRIGGER human_evidence_emptied BEFORE TRUNCATE ON human_evidence
  FOR EACH STATEMENT EXECUTE FUNCTION refuse('evidence never changes');
CREATE TRIGGER proposal_kept BEFORE DELETE ON proposal
  FOR EACH ROW EXECUTE FUNCTION refuse('proposals never change, and end once');
CREATE TRIGGER proposal_emptied BEFORE TRUNCATE ON proposal
  FOR EACH STATEMENT EXECUTE FUNCTION refuse('proposals never change, and end once');
CREATE TRIGGER proposal_ends_once BEFORE UPDATE ON proposal FOR EACH ROW
  WHEN (old.ending IS NOT NULL OR new.ending IS NULL OR new.number <> old.number OR new.tenant <> old.tenant OR new.id <> old.id
    OR new.same <> old.same OR new.proposer <> old.proposer OR new.body <> old.body OR new.commitment IS DISTINCT FROM old.commitment
    OR new.proposed_at <> old.proposed_at OR new.expires_at <> old.expires_at OR new.salt IS NOT NULL OR new.why IS NOT NULL)
  EXECUTE FUNCTION refuse('proposals never change, and end once');
CREATE TRIGGER enrolment_signed BEFORE UPDATE OF entry, person, payload, envelope ON enrolment FOR EACH ROW
  WHEN (old.envelope IS NOT NULL) EXECUTE FUNCTION refuse('what the directory signed never changes');
CREATE TRIGGER enrolment_kept BEFORE DELETE ON enrolment FOR EACH ROW
  WHEN (old.envelope IS NOT NULL) EXECUTE FUNCTION refuse('what the directory signed never changes');
CREATE TRIGGER enrolment_emptied BEFORE TRUNCATE ON enrolment
  FOR EACH STATEMENT EXECUTE FUNCTION refuse('what the directory signed never changes');

-- What is the same for all servers upon this database: the public keys by which they sign, and whether they may write.
CREATE TABLE serving(
  one boolean PRIMARY KEY CHECK(one),
  issuer bytea NOT NULL,
  log bytea NOT NULL,
  attempts text COLLATE "C" NOT NULL, -- the name of the key of attempt tokens
  behind text COLLATE "C" -- why nobody writes any more: what was published is not in this ledger
);
