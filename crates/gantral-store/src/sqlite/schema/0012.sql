-- The gates of a workflow that were decided last, newest first.

CREATE INDEX gate_closed ON gate(tenant, workflow, closed_at, id) WHERE open = 0;
