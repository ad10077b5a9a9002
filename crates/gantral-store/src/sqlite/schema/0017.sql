-- How long the gate that has waited longest has done so is one step into this.

CREATE INDEX gate_open ON gate(opened_at) WHERE open = 1;
CREATE INDEX task_ready ON task(ready_at);
