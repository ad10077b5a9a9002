use super::*;

fn opened(start: Instant) -> Breaker {
    let mut breaker = Breaker::default();
    for count in 1..=OUTAGES_TO_OPEN {
        assert_eq!(breaker.outage(start), count == OUTAGES_TO_OPEN);
    }
    breaker
}

#[test]
fn outages_in_a_row_open_it_and_an_answer_between_them_begins_the_count_again() {
    let start = Instant::now();
    let mut breaker = Breaker::default();
    for _ in 0..10 {
        assert_eq!(breaker.enter(start), Entry::Pass);
        for _ in 1..OUTAGES_TO_OPEN {
            assert!(!breaker.outage(start));
            assert_eq!(breaker.enter(start), Entry::Check);
        }
        breaker.answered();
    }
    assert_eq!((breaker.state(start), breaker.times()), (BreakerState::Closed, 0));
    let mut breaker = opened(start);
    assert_eq!((breaker.state(start), breaker.times()), (BreakerState::Open, 1));
    assert_eq!(breaker.enter(start), Entry::Refused);
}

#[test]
fn after_a_pause_one_looks_and_the_others_wait_for_what_it_finds() {
    let start = Instant::now();
    let mut breaker = opened(start);
    let later = start + OPEN_FOR;
    assert_eq!(breaker.enter(later - Duration::from_millis(1)), Entry::Refused);
    assert_eq!(breaker.state(later), BreakerState::HalfOpen);
    assert_eq!(breaker.enter(later), Entry::Check);
    assert_eq!(breaker.enter(later), Entry::Refused);
    assert!(!breaker.outage(later), "it was open already");
    assert_eq!(breaker.enter(later + OPEN_FOR), Entry::Check);
    breaker.answered();
    assert_eq!((breaker.enter(later + OPEN_FOR), breaker.times()), (Entry::Pass, 1));
}

#[test]
fn a_check_that_is_answered_lets_everybody_in_and_one_more_outage_shuts_them_out() {
    let start = Instant::now();
    let mut breaker = opened(start);
    assert_eq!(breaker.enter(start + OPEN_FOR), Entry::Check);
    breaker.alive();
    for _ in 0..10 {
        assert_eq!(breaker.enter(start + OPEN_FOR), Entry::Check);
        breaker.alive();
    }
    assert!(breaker.outage(start + OPEN_FOR));
    assert_eq!((breaker.enter(start + OPEN_FOR), breaker.times()), (Entry::Refused, 2));
}

#[test]
fn a_check_that_nobody_reports_keeps_nobody_out_for_longer_than_a_pause() {
    let start = Instant::now();
    let mut breaker = opened(start);
    assert_eq!(breaker.enter(start + OPEN_FOR), Entry::Check);
    assert_eq!(breaker.enter(start + OPEN_FOR * 2 - Duration::from_millis(1)), Entry::Refused);
    assert_eq!(breaker.enter(start + OPEN_FOR * 2), Entry::Check);
}
