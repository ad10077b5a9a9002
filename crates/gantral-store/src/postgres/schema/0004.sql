-- Where an orchestrator beside the servers says when work may begin, a task waits for its word before a runner may claim it. A column with a
-- constant default rewrites no row, and servers of the version before put tasks without naming it.
ALTER TABLE task ADD COLUMN released boolean NOT NULL DEFAULT false;
