/** The client of a server, for agents that run themselves. A process that a runner launched begins with its {@link Attempt}. */

import { ATTACHED, CREATED, INSTANCE, MOVED } from "./answers.js";
import { Attempt, type Context, type Journal, type Pinned } from "./attempt.js";
import { Connection, newKey, type ConnectionOptions } from "./connection.js";
import { Misused } from "./errors.js";
import { Trust } from "./trust.js";
import type { Attach, Attached, Created, CreateInstance, InstanceView, Moved } from "./types.js";

/** What a client is made of. */
export interface GantralOptions extends ConnectionOptions {
  /**
   * The trust file, pinned by you and never fetched from the server that it is to check: its text, or what `Trust.read` made of it. With it
   * everything that the server answers is verified before an action may start. Without it the server is believed.
   */
  trust?: string | Uint8Array | Trust | undefined;
  /** The tenant; needed with `trust`. */
  tenant?: string | undefined;
  /** Keeps the receipts of what the server promised, before it is acted upon. */
  journal?: Journal | undefined;
}

/** How an instance is waited for. */
export interface WaitOptions {
  /** What is waited for; when absent, that no human is waited for any more. */
  until?: ((view: InstanceView) => boolean) | undefined;
  /** How long, in milliseconds; 10 minutes when absent. */
  timeoutMs?: number | undefined;
}

const WAIT_MS = 600_000;
/** The longest time for which the server holds an answer. */
const POLL_MS_MAX = 60_000;
/** How much longer than it is held an answer may take. */
const POLL_SLACK_MS = 10_000;

/** A server, called as a workload. */
export class Gantral {
  private readonly connection: Connection;
  readonly #options: GantralOptions;

  /** @throws {@link Misused} if an option cannot be used. */
  constructor(options: GantralOptions) {
    this.connection = new Connection(options);
    this.#options = options;
    if (options.trust !== undefined && options.tenant === undefined) {
      throw new Misused("option_unusable", "`trust` says who is believed, and needs `tenant`");
    }
  }

  /** Creates an instance. With an idempotency key of your own, the same call again returns the first answer. */
  async createInstance(body: CreateInstance, idempotencyKey: string = newKey()): Promise<Created> {
    const call = { method: "POST", path: ["v1", "instances"], body, key: idempotencyKey } as const;
    const created = await this.connection.json<Created>(call, CREATED);
    await this.#options.journal?.(created.artifacts);
    return created;
  }

  /**
   * Begins the next attempt of an instance. Its token is good for five minutes and is not renewed: report within that time. Attaching again
   * replaces the attempt, and what it consumed and did not report becomes UNKNOWN.
   */
  async attach(instanceId: string): Promise<Attempt> {
    const body: Attach = { self: true };
    const path = ["v1", "instances", instanceId, "attempts"];
    const attached = await this.connection.json<Attached>({ method: "POST", path, body, key: newKey() }, ATTACHED);
    await this.#options.journal?.(attached.artifacts);
    return new Attempt({
      connection: this.connection.as(attached.token),
      instanceId,
      attempt: attached.attempt,
      context: attached.context as unknown as Context,
      grant: attached.grant ?? null,
      pinned: await this.pinned(),
      journal: this.#options.journal ?? null,
    });
  }

  /** Creates an instance and begins its first attempt. */
  async start(body: CreateInstance): Promise<Attempt> {
    const { instance } = await this.createInstance(body);
    return this.attach(instance.instance_id);
  }

  /** Returns an instance as it stands. */
  instance(instanceId: string): Promise<InstanceView> {
    return this.connection.json({ method: "GET", path: ["v1", "instances", instanceId] }, INSTANCE);
  }

  /**
   * Waits until an instance is as it should be, or the time is over, and returns it as it stands then. Whoever waits for a human need not:
   * end, and look later.
   */
  async wait(
    instanceId: string,
    { until = (view) => view.state !== "WAITING_FOR_HUMAN", timeoutMs = WAIT_MS }: WaitOptions = {},
  ): Promise<InstanceView> {
    const end = performance.now() + timeoutMs;
    let view = await this.instance(instanceId);
    for (let left = timeoutMs; !until(view) && left > 0; left = end - performance.now()) {
      const held = Math.max(1, Math.ceil(Math.min(left, POLL_MS_MAX)));
      const query = { after: String(view.head.sequence), wait: `${held}ms` };
      const path = ["v1", "instances", instanceId];
      view = await this.connection.json<InstanceView>({ method: "GET", path, query, timeoutMs: held + POLL_SLACK_MS }, INSTANCE);
    }
    return view;
  }

  /** Takes a request back that waits for a human, as the workload that created the instance, which ends. */
  async withdraw(instanceId: string): Promise<Moved> {
    const path = ["v1", "instances", instanceId, "withdraw"];
    const moved = await this.connection.json<Moved>({ method: "POST", path, body: {}, key: newKey() }, MOVED);
    await this.#options.journal?.(moved.artifacts);
    return moved;
  }

  private async pinned(): Promise<Pinned | null> {
    const { trust, tenant } = this.#options;
    if (trust === undefined || tenant === undefined) return null;
    return { trust: trust instanceof Trust ? trust : await Trust.read(trust), tenant };
  }
}
