//! The failure matrix, with failures that real engines gave: an OPA that is stopped, slow, wrong or somebody else, and the embedded one.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use gantral_core::policy::{EvalFailure, PolicyVersionId};
use gantral_engine::policy_point::{BoxFuture, PolicyPoint};
use gantral_policy::opa::{OpaConfig, OpaPolicyPoint};
use gantral_policy::{BundleSource, PoolConfig, RegoPolicyPoint, SourceUnavailable};

use super::service::{Opa, answered, ask, tampering};
use super::{ANYTHING, LIMIT, act, other_version};
use crate::contract::check_cells;
use crate::support::{PATIENT, Point, policy, worker_command};

/// How a failure came about, and what it was.
type Seen = (&'static str, EvalFailure);

/// Holds what was seen against what was expected, and each against every cell of the matrix.
fn check(seen: &[(Seen, EvalFailure)]) {
    for ((how, failure), expected) in seen {
        assert_eq!(failure, expected, "{how}");
        check_cells(*failure);
    }
}

fn kinds(seen: &[(Seen, EvalFailure)]) -> Vec<EvalFailure> {
    EvalFailure::ALL.into_iter().filter(|kind| seen.iter().any(|((_, failure), _)| failure == kind)).collect()
}

#[tokio::test]
async fn every_failure_of_an_opa_is_resolved_as_the_matrix_says() {
    let bundle = policy(ANYTHING);
    let version = bundle.version();
    let mut opa = Opa::start(&bundle);
    let point = opa.point();
    let mut seen = Vec::new();
    for (how, expected) in [
        ("both", EvalFailure::Conflict),
        ("nothing", EvalFailure::Undefined),
        ("odd", EvalFailure::Malformed),
        ("break", EvalFailure::Evaluation),
    ] {
        seen.push(((how, ask(&point, version, &act(how)).await.unwrap_err()), expected));
    }
    let slow = answered(&point, version, &act("loop"), LIMIT).await.result.unwrap_err();
    seen.push((("slow", slow), EvalFailure::ResourceLimit));
    let wrong = ask(&point, other_version(), &act("allow")).await.unwrap_err();
    seen.push((("wrong", wrong), EvalFailure::VersionMismatch));
    let misspelt = tampering(opa.port(), |request| request.replace(r#"{"input":"#, r#"{"inptu":"#));
    let hostile = OpaPolicyPoint::new(&super::service::config(misspelt)).unwrap();
    let hostile = ask(&hostile, version, &act("allow")).await.unwrap_err();
    seen.push((("hostile", hostile), EvalFailure::Malformed));
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://127.0.0.1:{}", silent.local_addr().unwrap().port());
    let mute = OpaPolicyPoint::new(&OpaConfig::new(url)).unwrap();
    let mute = answered(&mute, version, &act("allow"), LIMIT).await.result.unwrap_err();
    seen.push((("mute", mute), EvalFailure::DeadlineExceeded));
    opa.stop();
    // Time to notice that the idle connection is closed: what is sent into one that was, is lost after it was handed over.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let stopped = ask(&point, version, &act("allow")).await.unwrap_err();
    seen.push((("stopped", stopped), EvalFailure::Unavailable));
    check(&seen);
    let never = EvalFailure::VersionUnknown;
    let expected: Vec<_> = EvalFailure::ALL.into_iter().filter(|kind| *kind != never).collect();
    assert_eq!(kinds(&seen), expected, "an OPA does not know which versions there are");
}

/// A source of bundles that cannot be asked, or never answers.
enum Source {
    Gone,
    Mute,
}

impl BundleSource for Source {
    fn bundle(&self, _: PolicyVersionId) -> BoxFuture<'_, Result<Option<Vec<u8>>, SourceUnavailable>> {
        match self {
            Self::Gone => Box::pin(async { Err(SourceUnavailable) }),
            Self::Mute => Box::pin(std::future::pending()),
        }
    }
}

async fn without_bundles(source: Source) -> EvalFailure {
    let point = RegoPolicyPoint::start(&worker_command(), PoolConfig::default(), Arc::new(source)).unwrap();
    point.evaluate(other_version(), b"{}", Duration::from_millis(100)).await.result.unwrap_err()
}

#[tokio::test]
async fn every_failure_of_the_embedded_engine_is_resolved_as_the_matrix_says() {
    let bundle = policy(ANYTHING);
    let point = Point::with_workers(1);
    let mut seen = Vec::new();
    for (how, expected) in [
        ("both", EvalFailure::Conflict),
        ("nothing", EvalFailure::Undefined),
        ("odd", EvalFailure::Malformed),
        ("break", EvalFailure::Evaluation),
    ] {
        seen.push(((how, point.ask(&bundle, &act(how)).await.unwrap_err()), expected));
    }
    let slow = point.ask_within(&bundle, &act("loop"), LIMIT).await.unwrap_err();
    seen.push((("slow", slow), EvalFailure::ResourceLimit));
    let unknown = point.rego.evaluate(other_version(), b"{}", PATIENT).await.result.unwrap_err();
    seen.push((("unknown", unknown), EvalFailure::VersionUnknown));
    point.shelf.put_as(other_version(), bundle.to_archive().unwrap());
    let wrong = point.rego.evaluate(other_version(), b"{}", PATIENT).await.result.unwrap_err();
    seen.push((("wrong", wrong), EvalFailure::VersionMismatch));
    seen.push((("gone", without_bundles(Source::Gone).await), EvalFailure::Unavailable));
    seen.push((("mute", without_bundles(Source::Mute).await), EvalFailure::DeadlineExceeded));
    check(&seen);
    assert_eq!(kinds(&seen), EvalFailure::ALL);
}
