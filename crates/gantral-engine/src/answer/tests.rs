use super::*;

#[test]
fn every_answer_reads_back() {
    let time = UnixMillis::new(1_700_000_000_123).unwrap();
    let (gate, grant) = (GateId::from_random([7; 16]), GrantId::from_random([9; 16]));
    for answer in [
        Answer::Recorded,
        Answer::Attempt { attempt: AttemptNo(2), grant: Some(grant) },
        Answer::Attempt { attempt: AttemptNo(1), grant: None },
        Answer::Allowed {
            grant: Some(grant),
            expires_at: Some(time),
            act_by: None,
            reasons: vec!["small".into()],
        },
        Answer::Observed {
            verdict: Verdict::RequireHuman,
            roles: vec![Role::parse("R").unwrap()],
            reasons: vec!["large".into()],
        },
        Answer::Observed { verdict: Verdict::Deny, roles: vec![], reasons: vec![] },
        Answer::Waiting {
            gate,
            deadline: time,
            roles: vec![Role::parse("R").unwrap()],
            reasons: vec!["x".into()],
        },
        Answer::Denied { reasons: vec![] },
        Answer::Voted { grant: Some(grant) },
        Answer::Consumed { act_by: time },
    ] {
        assert_eq!(Answer::decode(&answer.encode(State::Running)), Some((State::Running, answer)));
    }
    assert_eq!(Answer::decode(b"{}"), None);
}
