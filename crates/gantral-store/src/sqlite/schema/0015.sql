-- Calls that have ended, by their key, so that what humans refused a moment ago is not asked again.

CREATE INDEX instance_ended_call ON instance(tenant, call_key, state, created_at) WHERE open = 0 AND call_key IS NOT NULL;
