use super::*;

const OPEN: FailurePolicy = FailurePolicy { closed: Closed::RequireHuman, open_on_outage: true };
const SHUT: FailurePolicy = FailurePolicy { closed: Closed::Deny, open_on_outage: false };

/// The whole matrix but its configuration, written down once more: what may pass where the workflow says so.
const OUTAGES: [EvalFailure; 4] = [
    EvalFailure::Unavailable,
    EvalFailure::DeadlineExceeded,
    EvalFailure::VersionMismatch,
    EvalFailure::VersionUnknown,
];

#[test]
fn high_materiality_never_passes_without_an_evaluation() {
    for failure in EvalFailure::ALL {
        assert_eq!(resolve_failure(Materiality::High, failure, OPEN), Verdict::RequireHuman);
        assert_eq!(resolve_failure(Materiality::High, failure, SHUT), Verdict::Deny);
    }
}

#[test]
fn only_an_outage_may_pass_and_only_if_configured() {
    for materiality in [Materiality::Low, Materiality::Medium] {
        for failure in EvalFailure::ALL {
            assert_eq!(failure.is_outage(), OUTAGES.contains(&failure), "{failure:?}");
            let expected = if OUTAGES.contains(&failure) { Verdict::Allow } else { Verdict::RequireHuman };
            assert_eq!(resolve_failure(materiality, failure, OPEN), expected, "{failure:?}");
            assert_eq!(resolve_failure(materiality, failure, SHUT), Verdict::Deny, "{failure:?}");
        }
    }
}

#[test]
fn every_word_reads_back() {
    for verdict in Verdict::ALL {
        assert_eq!(Verdict::parse(verdict.as_str()), Some(verdict));
    }
    for materiality in Materiality::ALL {
        assert_eq!(Materiality::parse(materiality.as_str()), Some(materiality));
    }
    for failure in EvalFailure::ALL {
        assert_eq!(EvalFailure::parse(failure.as_str()), Some(failure));
    }
    assert_eq!(Materiality::parse("high"), None);
}
