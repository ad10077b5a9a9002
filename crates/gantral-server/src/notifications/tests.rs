#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use super::*;

/// A secret that must not be shown.
const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn opened(text: &str, tenants: &[&str]) -> Result<Notifications, NotificationsError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, SECRET).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let url = folder.path().join("url");
    std::fs::write(&url, "https://hooks.example.org/services/CANARY\n").unwrap();
    let mail = folder.path().join("mail");
    std::fs::write(&mail, "CANARY").unwrap();
    std::fs::set_permissions(&mail, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::set_permissions(&url, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let text = text.replace("SECRET", &format!("secrets = ['file:{}']", path.display()));
    let text = text.replace("CHAT", &format!("url = 'file:{}'", url.display()));
    let text = text.replace("PASSWORD", &format!("password = 'file:{}'", mail.display()));
    let settings: NotificationSettings = toml::from_str(&text).unwrap();
    let tenants: Vec<TenantId> = tenants.iter().map(|name| TenantId::parse(name).unwrap()).collect();
    settings.open(&tenants)
}

#[test]
fn a_webhook_is_read_with_its_filters_and_belongs_to_one_tenant() {
    let text = "[[webhooks]]\nname = 'pager'\nurl = 'https://hooks.example.org/?code=1'\nSECRET\ntenant = 'acme'
        teams = ['payments']\nworkflows = ['refund']\nkinds = ['gate.opened', 'gate.reminder']\ntimeout = '2s'\nretry_for = '1h'
        [[webhooks]]\nname = 'audit'\nurl = 'http://127.0.0.1:9/'\nSECRET\ntenant = 'other'";
    let found = opened(text, &["acme", "other"]).unwrap();
    let Recipients(recipients) = found.recipients;
    assert_eq!(recipients[0].kinds, [NoticeKind::Opened, NoticeKind::Reminder]);
    assert_eq!((recipients[0].teams.len(), recipients[0].workflows.len()), (1, 1));
    assert_eq!((recipients[1].tenant.as_str(), recipients[1].kinds.len()), ("other", 0));
    let channels: Vec<_> = found.couriers.channels().map(|channel| channel.tenant().as_str()).collect();
    assert_eq!(channels, ["acme", "other"]);
    let only = "[[webhooks]]\nname = 'pager'\nurl = 'https://hooks.example.org/'\nSECRET";
    assert_eq!(opened(only, &["acme"]).unwrap().recipients.0[0].tenant.as_str(), "acme");
}

#[test]
fn a_chat_is_told_in_its_own_form_at_an_address_that_is_a_secret() {
    for format in ["slack", "teams"] {
        let text = format!("[[webhooks]]\nname = 'chat'\nformat = '{format}'\nCHAT");
        assert_eq!(opened(&text, &["acme"]).unwrap().couriers.channels().count(), 1);
    }
}

#[test]
fn what_is_wrong_is_named_and_shows_no_secret() {
    let base = "[[webhooks]]\nname = 'pager'\nurl = 'https://hooks.example.org/CANARY'\nSECRET\n";
    let check = |text: &str, tenants: &[&str], expected: &str| {
        let error = opened(text, tenants).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("AAEC") && !error.contains("CANARY"), "{error}");
    };
    check(base, &["acme", "other"], "`tenant` must be one of `tenants`");
    check(&format!("{base}tenant = 'third'"), &["acme", "other"], "`tenant` must be one of `tenants`");
    check(&format!("{base}kinds = ['gate.closed']"), &["acme"], "none of `gate.opened`");
    check(&format!("{base}timeout = '2h'"), &["acme"], "`timeout` is `2h`");
    check(&format!("{base}retry_for = '31d'"), &["acme"], "`retry_for` is `31d`");
    check(&format!("{base}{base}"), &["acme"], "names `pager` twice");
    check(&base.replace("https", "http"), &["acme"], "plain http is for loopback");
    check(&base.replace("SECRET", "secrets = []"), &["acme"], "`secrets` names 1 to 4");
    check(&base.replace("SECRET", &format!("secrets = ['{SECRET}']")), &["acme"], "env:NAME");
    check(&format!("{base}format = 'discord'"), &["acme"], "`format` has `discord`");
    check(&format!("{base}format = 'slack'"), &["acme"], "`secrets` has no meaning for a chat");
    let open = base.replace("SECRET", "format = 'teams'");
    check(&open, &["acme"], "`url` of a chat holds a token");
    check(&base.replace("pager", "a pager"), &["acme"], "is not a name");
}

#[test]
fn mail_goes_to_mailboxes_that_hear_of_what_asks_their_roles() {
    let text = "[mail]\nhost = 'mail.example.com'\ntls = 'starttls'\nuser = 'gantral'\nPASSWORD
        from = 'Gantral <approvals@example.com>'\ntimeout = '5s'
        [[mail.to]]\nname = 'leads'\naddress = 'leads@example.com'\nroles = ['FINANCE_LEAD']\nteams = ['payments']
        kinds = ['gate.opened']\n[[mail.to]]\nname = 'audit'\naddress = 'audit@example.com'";
    let found = opened(text, &["acme"]).unwrap();
    let Recipients(recipients) = found.recipients;
    assert_eq!((recipients[0].roles.len(), recipients[0].teams.len(), recipients[1].roles.len()), (1, 1, 0));
    assert_eq!(found.couriers.channels().count(), 2);
    let check = |from: &str, to: &str, expected: &str| {
        let error = opened(&text.replace(from, to), &["acme"]).err().unwrap().to_string();
        assert!(error.contains(expected) && !error.contains("CANARY"), "{error}");
    };
    check("'starttls'", "'opportunistic'", "`tls` has `opportunistic`");
    check("'starttls'", "'none'", "loopback addresses only");
    check("user = 'gantral'", "", "`user` and `password` belong together");
    check("PASSWORD", "password = 'CANARY'", "env:NAME");
    check("leads@example.com", "leads", "`leads` is not an address of mail");
    check("Gantral <approvals@example.com>", "Gantral", "`Gantral` is not an address of mail");
    check("name = 'audit'", "name = 'leads'", "names `leads` twice");
    check("timeout = '5s'", "timeout = '5h'", "`timeout` is `5h`");
    check("mail.example.com", "mail.example.com/", "`host` is `mail.example.com/`");
}

#[test]
fn a_channel_is_told_as_often_as_it_wants() {
    let base = "[[webhooks]]\nname = 'pager'\nurl = 'https://hooks.example.org/'\nSECRET\n";
    let opened = |more: &str| opened(&format!("{base}{more}"), &["acme"]);
    for good in
        ["digest = '15m'", "at_most = { messages = 10, within = '1h' }", "digest = '2d'\nretry_for = '4d'"]
    {
        assert!(opened(good).is_ok(), "{good}");
    }
    for (bad, expected) in [
        ("digest = '15m'\nat_most = { messages = 1, within = '1h' }", "exclude each other"),
        ("at_most = { messages = 0, within = '1h' }", "`at_most.messages` is 0"),
        ("at_most = { messages = 1, within = '1s' }", "`at_most.within` is `1s`"),
        ("digest = '13h'", "`digest` is more than half of `retry_for`"),
        ("digest = 'daily'", "`digest` is `daily`"),
    ] {
        let error = opened(bad).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
