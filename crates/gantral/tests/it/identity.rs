//! Callers of a real identity provider, whose keys change.

use crate::provider::Followed;
use crate::support::wait_until;

#[test]
fn keys_of_a_provider_are_found_followed_and_stop_when_told() {
    let mut site = Followed::new();
    let (_server, url) = site.serve();
    let agent = site.provider.client_token("refund-agent", "agent-secret");
    let admin = site.provider.human_token("pia");
    let whoami = |site: &Followed, token: &str| site.run(&url, token, &["instances", "ls", "--json"]);
    whoami(&site, &agent).status(0);
    site.run(&url, &admin, &["issuers", "ls"]).status(0);
    let refused = site.run(&url, &site.provider.human_token("ada"), &["issuers", "ls"]).status(1);
    assert!(refused.talk.contains("[forbidden]"), "{refused:?}");

    // A key that nobody here has seen: the provider is asked for it, and the token is good at once.
    assert_eq!(site.provider.test("rotate").as_array().unwrap().len(), 2);
    assert!(wait_until(|| {
        // Anybody could make up keys, so that a provider is asked for them seldom.
        whoami(&site, &site.provider.client_token("refund-agent", "agent-secret")).status == 0
    }));
    whoami(&site, &agent).status(0);

    // A key that was stolen: the provider takes it out, and somebody says so.
    site.provider.test("rotate?drop");
    let admin_now = site.provider.human_token("pia");
    assert!(wait_until(|| site.run(&url, &admin_now, &["issuers", "refresh"]).status == 0));
    for token in [&agent, &admin] {
        let refused = whoami(&site, token).status(1);
        assert!(refused.talk.contains("[token_rejected]"), "{refused:?}");
    }

    // A provider that is away: who has a good token goes on, and the operator sees it.
    site.provider.stop();
    whoami(&site, &admin_now).status(0);
    let failed = site.run(&url, &admin_now, &["issuers", "refresh"]).status(1);
    assert!(failed.data.contains("no connection"), "{failed:?}");
    let listed = site.run(&url, &admin_now, &["issuers", "ls", "--json"]).status(0).json();
    assert!(listed["items"][0]["failures"].as_u64() >= Some(1), "{listed}");
    assert!(listed["items"][0]["keys_age_seconds"].is_u64(), "{listed}");
}

#[test]
fn server_starts_without_its_provider_and_says_what_is_missing() {
    let mut site = Followed::new();
    let token = site.provider.human_token("ada");
    site.provider.stop();
    let (_server, url) = site.serve();
    let refused = site.run(&url, &token, &["approvals", "ls"]).status(1);
    assert!(refused.talk.contains("[issuer_unavailable]"), "{refused:?}");
}
