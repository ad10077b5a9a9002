/** What a client verifies with, for whoever wants to look at evidence in a program of their own. Judges no bundle: `gantral verify` does. */

export { ArtifactError, readArtifact, type Commitment } from "./artifact.js";
export { PublicKey } from "./ed25519.js";
export { ARTIFACT_TYPE, DELEGATION_TYPE, preAuthEncoding, readEnvelope, type Envelope } from "./envelope.js";
export { JsonError, TrustError } from "./errors.js";
export { actionCommitment, artifactHash, commitment, governanceTag, instanceTag, keyId, labelled, type CommitmentLabel } from "./hashes.js";
export { ARTIFACT, canonical, Decimal, DOCUMENT, parse, parseCanonical, sameJson, stringify, type Json, type JsonObject, type Profile } from "./json.js";
export { Trust, type Signer } from "./trust.js";
