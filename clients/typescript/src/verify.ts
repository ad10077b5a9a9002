/** What a client verifies with, for whoever wants to look at evidence in a program of their own. Judges no bundle: `gantral verify` does. */

export { ArtifactError, readArtifact, type Commitment } from "./artifact.js";
export { PublicKey } from "./ed25519.js";
export { ARTIFACT_TYPE, DELEGATION_TYPE, preAuthEncoding, readEnvelope, type Envelope } from "./envelope.js";
export { JsonError, TrustError } from "./errors.js";
export { verifiesEs256 } from "./es256.js";
export {
  actionCommitment,
  artifactHash,
  commitment,
  governanceTag,
  instanceTag,
  keyId,
  labelled,
  NoCrypto,
  type CommitmentLabel,
} from "./hashes.js";
export {
  ARTIFACT,
  canonical,
  Decimal,
  DOCUMENT,
  parse,
  parseCanonical,
  sameJson,
  stringify,
  type Json,
  type JsonObject,
  type Profile,
} from "./json.js";
export { Checkpoint, hashLeaf, isBeginning, isIncluded, leafBytes, NoteKey, type Leaf, type Signed, type Signs, type Tree } from "./log.js";
export { Trust, type Signer } from "./trust.js";
