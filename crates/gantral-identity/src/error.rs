//! Why a token was refused. No variant carries a byte of the token.

/// Who is at fault, and so who can mend it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The one who sent it: sending it again changes nothing.
    Caller,
    /// The machine around us: worth trying again once it is mended.
    Environment,
    /// Gantral or its configuration.
    Us,
}

/// Why a token was refused. Nothing was done; another token may be tried at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Longer than [`crate::TOKEN_BYTES_MAX`].
    #[error("token is longer than 8192 bytes")]
    TooLong,
    /// Not three base64url parts, or header or payload is not a JSON object without duplicate members.
    #[error("token is not a compact JSON web signature with unambiguous members")]
    Malformed,
    /// The header asks for an extension (`crit`), which we do not know.
    #[error("token header demands an extension that is not supported")]
    Extension,
    /// `typ` is not a type that the issuer is configured for.
    #[error("token type is not accepted from this issuer")]
    Type,
    /// `alg` is not pinned for the issuer, or is not the algorithm of the key.
    #[error("token algorithm is not accepted from this issuer for this key")]
    Algorithm,
    /// `kid` is missing or not a text.
    #[error("token does not name its key")]
    KeyMissing,
    /// `kid` names no key of the issuer: unknown, rotated away or revoked.
    #[error("token is signed by a key that its issuer does not publish")]
    UnknownKey,
    /// The issuer publishes its keys, and we have none that are recent enough: worth trying again.
    #[error("the keys of the token's issuer cannot be had at present")]
    KeysUnavailable,
    /// `iss` is not a configured issuer.
    #[error("token issuer is not configured")]
    UnknownIssuer,
    /// The signature does not belong to this header, payload and key.
    #[error("token signature is not valid")]
    Signature,
    /// `aud` names none of the audiences that we answer to.
    #[error("token is meant for another audience")]
    Audience,
    /// `exp` has passed.
    #[error("token has expired")]
    Expired,
    /// `nbf` or `iat` lies in the future.
    #[error("token is not valid yet")]
    NotYetValid,
    /// The time from `iat` to `exp` is longer than the issuer is configured for.
    #[error("token lives longer than its issuer is allowed to grant")]
    Lifetime,
    /// A claim that is needed is missing or has another form.
    #[error("token claim `{name}` is missing or has the wrong form")]
    Claim {
        /// What the claim is for.
        name: &'static str,
    },
    /// The client is not configured for this issuer.
    #[error("token client is not configured")]
    UnknownClient,
    /// The tenant of the token is not one that the issuer or client may speak for.
    #[error("token tenant is not configured for this client")]
    Tenant,
    /// `act` or `cnf`: somebody else acts, or the token is bound to a key whose possession we do not check.
    #[error("token is delegated or bound to a key, which is not supported")]
    Delegated,
    /// A claim that the client's configuration requires has another value, or a machine used a human's client.
    #[error("token does not meet what its client is configured to require")]
    Requirement,
}

impl TokenError {
    /// One of each variant, for documentation and tests.
    pub const ALL: [Self; 19] = [
        Self::TooLong,
        Self::Malformed,
        Self::Extension,
        Self::Type,
        Self::Algorithm,
        Self::KeyMissing,
        Self::UnknownKey,
        Self::KeysUnavailable,
        Self::UnknownIssuer,
        Self::Signature,
        Self::Audience,
        Self::Expired,
        Self::NotYetValid,
        Self::Lifetime,
        Self::Claim { name: "sub" },
        Self::UnknownClient,
        Self::Tenant,
        Self::Delegated,
        Self::Requirement,
    ];

    /// Returns the stable code; never reused for another meaning.
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooLong => "token_too_long",
            Self::Malformed => "token_malformed",
            Self::Extension => "token_extension",
            Self::Type => "token_type",
            Self::Algorithm => "token_algorithm",
            Self::KeyMissing => "token_key_missing",
            Self::UnknownKey => "token_key_unknown",
            Self::KeysUnavailable => "token_keys_unavailable",
            Self::UnknownIssuer => "token_issuer_unknown",
            Self::Signature => "token_signature",
            Self::Audience => "token_audience",
            Self::Expired => "token_expired",
            Self::NotYetValid => "token_not_yet_valid",
            Self::Lifetime => "token_lifetime",
            Self::Claim { .. } => "token_claim",
            Self::UnknownClient => "token_client_unknown",
            Self::Tenant => "token_tenant",
            Self::Delegated => "token_delegated",
            Self::Requirement => "token_requirement",
        }
    }

    /// Returns who is at fault: the caller, who has to come with another token, unless keys could not be had.
    pub const fn fault(self) -> Fault {
        match self {
            Self::KeysUnavailable => Fault::Environment,
            _ => Fault::Caller,
        }
    }
}
