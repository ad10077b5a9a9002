//! Every route of the API: one table from which the document is written, and against which server and client are held.

mod shape;
mod table;

pub use shape::Shape;
pub use table::ROUTES;

use crate::problem::Code;

/// The method of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// Reads; never changes anything.
    Get,
    /// Creates or activates under a name that the caller chose.
    Put,
    /// Does something.
    Post,
}

impl Method {
    /// Returns the method as sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Put => "PUT",
            Self::Post => "POST",
        }
    }
}

/// Who may call a route. What exactly they may do there depends on team, role and instance as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// Anybody who reaches the port, without a token.
    Anyone,
    /// Any principal of the tenant.
    Tenant,
    /// A human.
    Human,
    /// A human with the role of an administrator.
    Admin,
    /// A human with the role of a developer.
    Developer,
    /// An agent, or another program that asks.
    Workload,
    /// A program that executes attempts.
    Runner,
    /// A program that says when attempts may begin.
    Orchestrator,
    /// Whoever holds the token of the attempt.
    Attempt,
}

impl Who {
    /// Returns the word for the document.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Anyone => "anyone",
            Self::Tenant => "any principal of the tenant",
            Self::Human => "human",
            Self::Admin => "human administrator",
            Self::Developer => "human developer",
            Self::Workload => "workload",
            Self::Runner => "runner",
            Self::Orchestrator => "orchestrator",
            Self::Attempt => "token of the attempt",
        }
    }
}

/// What a request carries.
#[derive(Debug, Clone, Copy)]
pub enum Body {
    /// Nothing.
    None,
    /// JSON of this shape, at most 1 MiB.
    Json(Shape),
    /// A gzip-compressed tar archive, at most 16 MiB.
    Archive,
}

/// What an answer carries.
#[derive(Debug, Clone, Copy)]
pub enum Content {
    /// Nothing.
    None,
    /// JSON of this shape.
    Json(Shape),
    /// Bytes or text of this media type.
    Bytes(&'static str),
}

/// One way in which a route answers when nothing is wrong.
#[derive(Debug, Clone, Copy)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// What it means.
    pub about: &'static str,
    /// What it carries.
    pub content: Content,
}

/// One query parameter.
#[derive(Debug, Clone, Copy)]
pub struct Query {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub about: &'static str,
    /// Its values.
    pub shape: Shape,
}

/// One route.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path, with `{name}` for each parameter, as the router of the server writes it.
    pub path: &'static str,
    /// The name under which generated clients call it.
    pub operation_id: &'static str,
    /// The chapter of the document.
    pub tag: &'static str,
    /// Who may call it: any of these.
    pub who: &'static [Who],
    /// What it does, in one line.
    pub summary: &'static str,
    /// The query parameters that it knows; any other is refused.
    pub query: &'static [Query],
    /// What the request carries.
    pub body: Body,
    /// How it answers.
    pub answers: &'static [Answer],
    /// The codes with which it refuses, beside those that many routes share.
    pub refusals: &'static [Code],
}

/// Codes of every route that asks for a token.
const SHARED: &[Code] = &[
    Code::Unauthenticated,
    Code::TokenRejected,
    Code::CertificateRequired,
    Code::IssuerUnavailable,
    Code::Forbidden,
    Code::NotFound,
    Code::MethodNotAllowed,
    Code::InvalidParameter,
    Code::TooManyRequests,
    Code::LedgerUnavailable,
    Code::NotReady,
    Code::Internal,
];
/// Further codes of every write.
const WRITING: &[Code] = &[
    Code::InvalidBody,
    Code::UnsupportedMediaType,
    Code::IdempotencyKeyMissing,
    Code::IdempotencyKeyReused,
    Code::BodyTooLarge,
    Code::RateExceeded,
    Code::ReadOnly,
];
/// Codes of routes without a token.
const OPEN: &[Code] = &[Code::MethodNotAllowed, Code::TooManyRequests, Code::NotReady, Code::Internal];

impl Route {
    /// Says whether the route writes, and so needs an idempotency key.
    pub const fn writes(&self) -> bool {
        !matches!(self.method, Method::Get)
    }

    /// Says whether the route answers without a token.
    pub fn is_open(&self) -> bool {
        self.who.contains(&Who::Anyone)
    }

    /// Returns the names of the path parameters, in order.
    pub fn path_parameters(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
    }

    /// Returns every code with which the route may refuse, each once, in the order of the table of codes.
    pub fn codes(&self) -> Vec<Code> {
        let shared = if self.is_open() { OPEN } else { SHARED };
        let writing = if self.writes() { WRITING } else { &[] };
        let mut codes: Vec<Code> = [shared, writing, self.refusals].concat();
        codes.sort_unstable();
        codes.dedup();
        codes
    }
}

#[cfg(test)]
mod tests;
