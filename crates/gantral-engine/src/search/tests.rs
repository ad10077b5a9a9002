use super::*;

const HOUR_MS: u64 = 3_600_000;
const ARTIFACTS: u64 = 400_000;

fn at(millis: u64) -> UnixMillis {
    UnixMillis::new(millis).unwrap()
}

/// One artifact a second, but for the clock.
fn steady(number: u64) -> Option<UnixMillis> {
    Some(at(number * 1_000))
}

/// Searches, and returns what was found with how many samples it took.
fn searched(
    newest: u64,
    (from, to): (u64, u64),
    time: impl Fn(u64) -> Option<UnixMillis>,
) -> (Vec<(u64, u64)>, usize) {
    let mut search = Search::new(newest, (at(from), at(to)));
    loop {
        let wanted = search.wanted();
        if wanted.is_empty() {
            return (search.found(), search.samples.len());
        }
        search.learn(wanted.into_iter().map(|number| (number, time(number))));
    }
}

fn holds(found: &[(u64, u64)], number: u64) -> bool {
    found.iter().any(|(first, last)| (*first..=*last).contains(&number))
}

/// Expects that everything of the span is found, and returns how many numbers were.
fn complete(span: (u64, u64), time: impl Fn(u64) -> Option<UnixMillis>) -> u64 {
    let (found, _) = searched(ARTIFACTS, span, &time);
    assert!(found.is_sorted() && found.iter().all(|(first, last)| first <= last), "{found:?}");
    for number in 1..=ARTIFACTS {
        let inside = time(number).is_some_and(|at| (span.0..span.1).contains(&at.get()));
        assert!(!inside || holds(&found, number), "{number} is missing in {found:?}");
    }
    found.iter().map(|(first, last)| last - first + 1).sum()
}

#[test]
fn little_is_looked_at_beside_the_span() {
    for from in [0, 1_000, 100_000_000, 399_999_000, 400_000_000, 500_000_000] {
        for length in [1, 1_000, 20 * HOUR_MS, 200 * HOUR_MS] {
            let looked_at = complete((from, from + length), steady);
            let most = length / 1_000 + 2 * HOUR_MS / 1_000 + 4 * COMMITS_MAX;
            assert!(looked_at <= most, "{looked_at} for {length} from {from}");
        }
    }
    let (found, samples) = searched(ARTIFACTS, (100_000_000, 100_000_001), steady);
    assert!(found.len() == 1 && samples < 150, "{samples} samples for {found:?}");
}

#[test]
fn an_empty_ledger_has_nothing_and_a_small_one_is_looked_at_whole() {
    assert_eq!(searched(0, (0, 1), steady), (vec![], 1));
    assert_eq!(searched(7, (5_000, 6_000), steady).0, [(1, 7)]);
}

#[test]
fn what_commits_late_is_found() {
    // Every tenth command takes up to an hour, and the clock goes by jumps.
    let late = |number: u64| {
        let taken = if number % 10 == 3 { number % 3_600 } else { 0 };
        Some(at(number.saturating_sub(taken) / 60 * 60_000))
    };
    for from in (0..400_000_000).step_by(37_000_000) {
        complete((from, from + 2 * HOUR_MS), late);
    }
}

#[test]
fn a_clock_that_was_wrong_for_long_hides_nothing() {
    for wrong in [200 * HOUR_MS, 40 * HOUR_MS] {
        let ahead = |number: u64| {
            let ahead = if (150_000..170_000).contains(&number) { wrong } else { 0 };
            Some(at(number * 1_000 + ahead))
        };
        let behind = |number: u64| {
            let behind = if (150_000..170_000).contains(&number) { wrong } else { 0 };
            Some(at((number * 1_000).saturating_sub(behind)))
        };
        for from in (0..400_000_000).step_by(97_000_000).chain([149_990_000, 169_990_000, 170_000_000]) {
            for length in [1_000_000, 5 * HOUR_MS] {
                complete((from, from + length), ahead);
                complete((from, from + length), behind);
            }
        }
    }
}

#[test]
fn a_sample_that_tells_nothing_hides_nothing() {
    let damaged = |number: u64| if number.is_multiple_of(7) { None } else { steady(number) };
    let span = (100_000_000, 103_000_000);
    let (found, _) = searched(ARTIFACTS, span, damaged);
    assert!((100_000..103_000).all(|number| holds(&found, number)), "{found:?}");
}
