/**
 * The chain of one instance as a client has verified it (`spec/runner.md` §3, as far as it concerns a process).
 *
 * Every receipt must be signed by a key that is pinned for tenant and log, and must continue the chain from its first artifact. A gap, such
 * as what humans decided meanwhile, is closed with the evidence of the instance: whoever signs the newest artifact vouches for all
 * before it. What the events mean together is for the engine to obey and for a verifier to judge.
 */

import { ACTION } from "./answers.js";
import { readArtifact, type Commitment } from "./artifact.js";
import { fromBase64 } from "./bytes.js";
import { ARTIFACT_TYPE, ENVELOPE_BYTES_MAX, readEnvelope, type Envelope } from "./envelope.js";
import { GantralError, JsonError, Untrusted } from "./errors.js";
import { actionCommitment, artifactHash } from "./hashes.js";
import { isObject, parse, stringify, type Json, type JsonObject, type Profile } from "./json.js";
import { readTar } from "./tar.js";
import type { Signer, Trust } from "./trust.js";
import type { Action, GrantView, Receipt } from "./types.js";

/** The digest of the one set of rules that this client knows (`spec/states.md` S8). */
const SEMANTICS = "fe2328ca1a8bde55c7794691cd2f6361627056072f9cbee1be4f1934b3adc23e";

/** A disclosure: base64 of a plaintext of 1 MiB, and what stands around it (C8). */
const DISCLOSURE: Readonly<Profile> = { bytesMax: 2 << 20, depthMax: 1, signed: false };

/** What the chain says of a grant. */
interface GrantTerms {
  action: string;
  expiresAt: string;
  overridden: boolean;
  gateId: string | null;
}

/** An artifact whose form is good. */
interface Opened {
  envelope: Envelope;
  hash: string;
  statement: Commitment;
}

/** Fetches the evidence of the instance: a bundle as an archive. */
export type FetchEvidence = () => Promise<Uint8Array>;

/** What a client knows of one chain, and by which keys. */
export class Chain {
  private readonly hashes: string[] = [];
  private readonly grants = new Map<string, GrantTerms>();
  private readonly taken = new Set<number>();
  private workflow: string | null = null;
  /** What is done with the chain is done one after the other, whoever awaits it. */
  private turn: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly trust: Trust,
    private readonly tenant: string,
    private readonly instance: string,
    private readonly evidence: FetchEvidence,
  ) {}

  /** How many artifacts are known. */
  get length(): number {
    return this.hashes.length;
  }

  /**
   * Takes the receipts of an answer, and returns those that are new: not given before, and not known when the question was sent, which was
   * when the chain had the length `since`.
   *
   * @throws {@link Untrusted} if one is not believed.
   */
  take(receipts: readonly Receipt[], since: number): Promise<Commitment[]> {
    return this.inTurn(async () => {
      const fresh: Commitment[] = [];
      for (const receipt of receipts) {
        const statement = await this.takeOne(receipt);
        if (statement.sequence >= since && !this.taken.has(statement.sequence)) fresh.push(statement);
        this.taken.add(statement.sequence);
      }
      return fresh;
    });
  }

  /**
   * Checks that a grant is one that the chain gives, for exactly the action that is named with it.
   *
   * @throws {@link Untrusted} if it is not.
   */
  checkGrant(view: GrantView): Promise<void> {
    return this.inTurn(async () => {
      if (!this.grants.has(view.grant_id)) await this.catchUp();
      const terms = this.grants.get(view.grant_id);
      if (terms === undefined) throw new Untrusted("another_grant", `the chain gives no grant \`${view.grant_id}\``);
      const same = terms.expiresAt === view.expires_at && terms.overridden === view.overridden && terms.gateId === (view.gate_id ?? null);
      if (!same) throw new Untrusted("another_grant", "the grant is not as the chain gives it");
      const recomputed = await actionCommitment(view.action, view.action_salt);
      if (recomputed !== view.action_commitment || recomputed !== terms.action) {
        throw new Untrusted("another_action", "the action of the grant does not open the commitment that was signed");
      }
    });
  }

  /**
   * Returns the action that an artifact commits to, as the evidence discloses it.
   *
   * @throws {@link Untrusted} if it is not disclosed, or does not open the commitment.
   */
  disclosedAction({ detail }: Commitment): Promise<Action> {
    return this.inTurn(async () => {
      const files = await this.catchUp();
      const action = await readDisclosure(
        files.get(`disclosures/${String(detail["action_commitment"])}.json`),
        detail["action_commitment"],
      );
      if (action === null) throw new Untrusted("another_action", "the evidence does not disclose for which action this was signed");
      return action;
    });
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.turn.then(work);
    // Whoever asked is told of a failure; the next one begins all the same.
    this.turn = done.catch(() => undefined);
    return done;
  }

  private async takeOne(receipt: Receipt): Promise<Commitment> {
    const opened = await this.open(receipt.envelope);
    const { statement, hash } = opened;
    if (receipt.hash !== hash || receipt.sequence !== statement.sequence || receipt.event !== statement.event) {
      throw new Untrusted("receipt_malformed", "a receipt is not what it says of its artifact");
    }
    await this.checkSigner(opened);
    if (statement.sequence > this.hashes.length) await this.catchUp();
    this.extend(opened);
    return statement;
  }

  /** Fetches the evidence, takes what is not known yet, and returns its files. */
  private async catchUp(): Promise<Map<string, Uint8Array>> {
    const files = readTar(await this.evidence());
    if (files === null) throw new Untrusted("receipt_malformed", "the evidence is no archive");
    for (const [path, bytes] of files) if (/^keys\/[0-9a-f]{64}\.delegation\.json$/.test(path)) await this.trust.addDelegation(bytes);
    const paths = [...files.keys()].filter((path) => /^artifacts\/\d+\.dsse\.json$/.test(path)).sort();
    const artifacts: Opened[] = [];
    for (const path of paths) artifacts.push(await this.open(readFile(files.get(path) ?? new Uint8Array())));
    const newest = artifacts.at(-1);
    if (newest === undefined || artifacts.length < this.hashes.length) throw broken("the evidence is about less than was known");
    await this.checkSignerOf(newest);
    // Linked before anything of it is taken: what no signature vouches for is nobody's word.
    artifacts.forEach(({ statement }, at) => {
      if (statement.sequence !== at || statement.prev_artifact_hash !== (artifacts[at - 1]?.hash ?? null))
        throw broken(`artifact ${at} has another place`);
    });
    artifacts.forEach((artifact) => this.extend(artifact));
    return files;
  }

  /** Adds an artifact that is new, or checks that one that is known is the same. */
  private extend({ hash, statement }: Opened): void {
    const { sequence } = statement;
    if (sequence < this.hashes.length) {
      if (this.hashes[sequence] !== hash) throw broken(`there are two artifacts ${sequence}`);
      return;
    }
    if (sequence > this.hashes.length || statement.prev_artifact_hash !== (this.hashes[sequence - 1] ?? null)) {
      throw broken(`artifact ${sequence} does not continue the chain`);
    }
    const workflow = stringify(statement.workflow);
    if (this.workflow !== null && this.workflow !== workflow) throw broken(`artifact ${sequence} is of another workflow version`);
    this.workflow = workflow;
    this.hashes.push(hash);
    this.note(statement);
  }

  private note({ event, detail }: Commitment): void {
    const decision = detail["decision"] as JsonObject | null | undefined;
    const grant = detail["grant"] as JsonObject | null | undefined;
    if (grant === null || grant === undefined) return;
    const action = (event === "allowed" ? detail["action_commitment"] : decision?.["approved_action_commitment"]) as string;
    const gateId = (decision?.["gate_id"] as string | undefined) ?? null;
    this.grants.set(grant["id"] as string, {
      action,
      expiresAt: grant["expires_at"] as string,
      overridden: event === "overridden",
      gateId,
    });
  }

  private async open(value: Json): Promise<Opened> {
    const envelope = readEnvelope(value, ARTIFACT_TYPE);
    if (envelope === null) throw new Untrusted("receipt_malformed", "a receipt is no envelope of an artifact");
    const statement = await readStatement(envelope);
    if (statement.tenant_id !== this.tenant || statement.instance_id !== this.instance) {
      throw new Untrusted("another_instance", "a receipt is about another tenant or instance");
    }
    if (statement.semantics_digest !== SEMANTICS) throw broken("the chain has rules that this client does not know");
    return { envelope, hash: await artifactHash(envelope.payload), statement };
  }

  /** A delegate that is not known yet comes with the evidence. */
  private async checkSigner(opened: Opened): Promise<void> {
    if ((await this.signer(opened)) === null) await this.catchUp();
    await this.checkSignerOf(opened);
  }

  private async checkSignerOf(opened: Opened): Promise<void> {
    const signer = await this.signer(opened);
    const { tenant_id, log_origin, issued_at, sequence } = opened.statement;
    // A key that has ended vouches for nothing new.
    if (signer === null || signer.ended || !signer.permits(tenant_id, log_origin, issued_at)) {
      throw new Untrusted("signature_untrusted", `artifact ${sequence} is not signed by a pinned key of an issuer for tenant and log`);
    }
  }

  private signer({ envelope }: Opened): Promise<Signer | null> {
    return this.trust.signerOf(envelope, ARTIFACT_TYPE);
  }
}

async function readStatement(envelope: Envelope): Promise<Commitment> {
  try {
    return await readArtifact(envelope.payload);
  } catch (error) {
    if (!(error instanceof GantralError)) throw error;
    throw new Untrusted("receipt_malformed", `a receipt is no artifact: ${error.message}`, { cause: error });
  }
}

function readFile(bytes: Uint8Array): Json {
  try {
    return parse(bytes, { bytesMax: ENVELOPE_BYTES_MAX, depthMax: 64, signed: false });
  } catch (error) {
    throw new Untrusted("receipt_malformed", "the evidence holds an artifact that is no envelope", { cause: error });
  }
}

/** C8: the action whose canonical form, under the salt that stands with it, has this commitment; `null` if it is none. */
async function readDisclosure(bytes: Uint8Array | undefined, expected: Json | undefined): Promise<Action | null> {
  try {
    const value = parse(bytes ?? new Uint8Array(), DISCLOSURE);
    if (!isObject(value) || value["label"] !== "action" || typeof value["plaintext"] !== "string") return null;
    const action = parse(fromBase64(value["plaintext"]) ?? new Uint8Array());
    return ACTION(action) && (await actionCommitment(action, String(value["salt"]))) === expected ? (action as unknown as Action) : null;
  } catch (error) {
    if (error instanceof JsonError) return null;
    throw error;
  }
}

function broken(message: string): Untrusted {
  return new Untrusted("chain_broken", message);
}
