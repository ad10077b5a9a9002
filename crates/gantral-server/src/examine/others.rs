//! Whether those whom a server asks are there: identity providers, witnesses, policy services, and the storage of the archive.

use gantral_archive::inspect;
use gantral_core::ids::Name;
use gantral_identity::Verifier;
use gantral_log::push::{WitnessClient, WitnessConfig};
use gantral_oidc::Providers;
use tokio::time::timeout;

use super::{Examined, WITHIN};
use crate::settings::Settings;

/// Asks every identity provider for its keys.
pub(super) async fn issuers(settings: &Settings) -> Vec<Examined> {
    let remedy = "is the address right, does the provider answer from this machine, and is its certificate believed (`ca_file`)?";
    let ready = Providers::new(&settings.identity).map_err(|error| error.to_string()).and_then(|providers| {
        Ok((providers, Verifier::new(&settings.identity).map_err(|error| error.to_string())?))
    });
    let (providers, verifier) = match ready {
        Ok(ready) => ready,
        Err(why) => return vec![Examined::bad("identity", why, "correct the section `identity`")],
    };
    let Ok(asked) = timeout(WITHIN, providers.refresh(&verifier)).await else {
        return vec![Examined::bad("identity", "an identity provider does not answer", remedy)];
    };
    let mut found: Vec<Examined> = asked
        .into_iter()
        .map(|asked| match asked.outcome {
            Ok(_) => Examined::good("identity", format!("`{}` publishes keys", asked.issuer)),
            Err(error) => Examined::bad("identity", format!("`{}`: {error}", asked.issuer), remedy),
        })
        .collect();
    if settings.identity.issuers.is_empty() {
        found.push(Examined::bad(
            "identity",
            "no issuer is believed: nobody gets in",
            "name one under `identity.issuers`",
        ));
    } else if found.is_empty() {
        found.push(Examined::good("identity", "the keys of every issuer are in the configuration"));
    }
    found
}

/// Looks whether something answers where each witness is.
pub(super) async fn witnesses(settings: &Settings) -> Vec<Examined> {
    let witnesses = match settings.witnesses() {
        Ok(witnesses) => witnesses,
        Err(error) => {
            return vec![Examined::bad(
                "witnesses",
                error,
                "write the key as `gantral witness init` prints it",
            )];
        }
    };
    let mut found = Vec::with_capacity(witnesses.len());
    for witness in witnesses {
        let config = WitnessConfig {
            url: witness.url.clone(),
            key: witness.key,
            ca_file: witness.ca_file,
            timeout: WITHIN,
        };
        let remedy = "is it running there, and its certificate believed (`ca_file`)? Where grants wait for witnesses they wait until it is";
        found.push(match WitnessClient::new(&config) {
            Err(error) => {
                Examined::bad("witnesses", format!("`{}`: {error}", witness.url), "correct `log.witnesses`")
            }
            Ok(client) => match client.answers().await {
                true => Examined::good("witnesses", format!("`{}` answers", witness.url)),
                false => Examined::bad("witnesses", format!("`{}` does not answer", witness.url), remedy),
            },
        });
    }
    found
}

/// Asks each OPA whether it is there.
pub(super) async fn evaluators(settings: &Settings) -> Vec<Examined> {
    // A section that cannot be read was named already.
    let Ok(opas) = settings.policy.open() else { return Vec::new() };
    let remedy = "is it running there, may the token ask it, and is its certificate believed (`ca_file`)? What it evaluates is held until it answers";
    let examined = |(name, answers): (&Name, bool)| match answers {
        true => Examined::good("evaluators", format!("`{name}` answers")),
        false => Examined::bad("evaluators", format!("`{name}` does not answer"), remedy),
    };
    opas.answers().await.into_iter().map(examined).collect()
}

/// Looks at the archive. Nothing is added to it: what is there can never be taken away.
pub(super) async fn archive(settings: &Settings) -> Vec<Examined> {
    let Some(archive) = &settings.archive else { return Vec::new() };
    let remedy =
        "see docs/archive.md: the address, the key and its permissions, and whether the bucket is there";
    let seen = match timeout(WITHIN, inspect(&archive.config())).await {
        Ok(Ok(seen)) => seen,
        Ok(Err(error)) => return vec![Examined::bad("archive", error, remedy)],
        Err(_) => return vec![Examined::bad("archive", "it does not answer", remedy)],
    };
    let Some(object) = seen.object else {
        return vec![Examined::good(
            "archive",
            "it is empty: whether it can be written the first segment says",
        )];
    };
    let mut found = vec![Examined::good("archive", format!("it holds {} tenants", seen.tenants))];
    found.push(if object.is_created_once {
        Examined::good("archive", format!("it refuses to create `{}` once more", object.name))
    } else {
        Examined::bad(
            "archive",
            format!("it takes `{}` once more although it is there", object.name),
            "choose a storage that honours `If-None-Match: *`: this one lets what is archived be written over",
        )
    });
    match object.is_locked {
        Some(true) => found.push(Examined::good("archive", format!("`{}` is locked", object.name))),
        Some(false) => found.push(Examined::bad(
            "archive",
            format!("nobody is kept from deleting `{}`", object.name),
            "make the bucket with object lock, and set `archive.retain_days` or a default retention of the bucket; or let the key see it: `s3:GetObjectRetention`",
        )),
        None => {}
    }
    found
}
