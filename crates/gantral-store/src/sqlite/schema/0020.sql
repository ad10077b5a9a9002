-- Where an orchestrator beside the server says when work may begin, a task waits for its word before a runner may claim it.
ALTER TABLE task ADD COLUMN released INTEGER NOT NULL DEFAULT 0;
