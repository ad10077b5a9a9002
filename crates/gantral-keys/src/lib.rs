//! Who signs: the port to signing keys, and its backends.
//!
//! Each signer holds one key of one role and refuses everything that its role is not for, by the context that the caller
//! names and by the form of the bytes. Which keys are believed is not decided here: the relying party's trust file says so.
//! Source: `spec/keys.md`.

mod delegated;
mod delegations;
mod facts;
mod file;
mod folder;
mod form;
mod local;
mod openbao;
mod signer;

pub use delegated::{DelegatedSigner, DelegationTerms, RenewError, Renewal};
pub use delegations::{Delegations, DelegationsError, KeptDelegation};
pub use file::{FileError, load_or_generate, read_private, replace_private, write_private};
pub use folder::{
    ExportError, Held, IssuerSigner, KeyEntry, KeyFolder, KeysError, LogIndex, LogReach, NewKey, TrustTerms,
    export_trust,
};
pub use local::{GenerateError, KeyFormatError, LocalSigner};
pub use openbao::{OPENBAO_TIMEOUT_DEFAULT, OpenBaoConfig, OpenBaoError, OpenBaoSigner};
pub use signer::{BoxFuture, SignError, Signature, Signer, SigningContext};
