/** Gantral taken away: an agent goes on as it would without it. */

import { Attempt, type Facts } from "./attempt.js";
import { Connection } from "./connection.js";
import { Misused } from "./errors.js";
import { Permit } from "./permit.js";
import type { Action, AuthorityAnswer, Moved } from "./types.js";

/** Whoever runs an agent takes Gantral away by this variable, and by nothing else: an agent that merely lost its configuration stops. */
const SWITCH = "GANTRAL";
const NOTHING: Moved = { artifacts: [], state: "RUNNING" };

/** Tells whether Gantral was taken away. */
export function isOff(env: Readonly<Record<string, string | undefined>>): boolean {
  const word = env[SWITCH] ?? "";
  if (word !== "" && word !== "off") throw new Misused("not_launched", `\`${SWITCH}\` is \`off\`, or not set`);
  if (word !== "" && (env["GANTRAL_INSTANCE_ID"] ?? "") !== "")
    throw new Misused("not_launched", `\`${SWITCH}=off\` in a process that a runner launched: take the workflow from the runner instead`);
  return word !== "";
}

/** An attempt of nothing: every action may be done, nobody is asked, and nothing is recorded anywhere. */
export class OffAttempt extends Attempt {
  constructor() {
    // A server that nothing is ever sent to.
    const connection = new Connection({ url: "http://127.0.0.1", token: "none" });
    const instanceId = crypto.randomUUID();
    super({ connection, instanceId, attempt: 1, context: null, grant: null, pinned: null, journal: null });
    console.warn(`gantral is off (${SWITCH}=off): nobody is asked, and nothing is recorded`);
  }

  override async gate(action: Action): Promise<Permit> {
    return new Permit({ action, grantId: null, startBy: null, report: async () => NOTHING, secret: (name) => this.secret(name) });
  }

  override async ask(_action: Action, _facts?: Facts): Promise<AuthorityAnswer> {
    return { answer: "ALLOW", artifacts: [], enforced: false, reasons: [] };
  }

  override async outcome(): Promise<Moved> {
    return NOTHING;
  }

  override async complete(): Promise<Moved> {
    return NOTHING;
  }

  override async fail(): Promise<Moved> {
    return NOTHING;
  }
}
