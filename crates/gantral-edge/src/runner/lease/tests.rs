use gantral_api::problem::Problem;

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn lease(length: Duration, grace: Duration) -> Lease {
    let mut lease = Lease::new(length, grace);
    lease.ends_at = Instant::now() + length;
    lease
}

#[test]
fn processes_are_asked_then_killed_and_only_then_the_lease_ends() {
    for length in [Duration::from_millis(500), Duration::from_secs(2), Duration::from_secs(30), 60 * MINUTE] {
        let lease = lease(length, Duration::from_secs(5));
        assert!(lease.ask_at() < lease.kill_at() && lease.kill_at() < lease.ends_at);
        // Two renewals may fail before anything is ended.
        assert!(lease.ends_at - lease.ask_at() < length / 2);
        assert!(lease.grace() <= length / 4);
    }
}

#[test]
fn a_lease_that_was_never_renewed_is_over() {
    let lease = Lease::new(MINUTE, Duration::ZERO);
    assert!(lease.kill_at() <= Instant::now());
}

#[test]
fn only_some_refusals_mean_that_the_attempt_is_not_ours() {
    for code in Code::ALL {
        let error = ClientError::Problem(Box::new(Problem::new(*code, "")));
        let over = ["lease_lost", "stale_attempt", "attempt_inactive", "instance_ended", "not_found"];
        assert_eq!(is_over(&error), over.contains(&code.as_str()), "{code}");
    }
    assert!(!is_over(&ClientError::Timeout { within_ms: 1 }));
}
