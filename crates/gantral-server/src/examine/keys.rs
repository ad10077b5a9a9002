//! Whether the keys that sign are there, and are those that relying parties were told of.

use std::path::Path;

use gantral_evidence::trust::KeyRole;
use gantral_keys::{
    Held, KeyEntry, KeyFolder, LocalSigner, OpenBaoConfig, OpenBaoSigner, Signer as _, read_private,
};
use tokio::time::timeout;

use super::{Examined, WITHIN};

/// Looks whether the keys that sign are there, are their owner's alone, and are those that `keys.json` names.
pub(super) async fn keys(data: &Path) -> Vec<Examined> {
    if !data.join("keys.json").exists() {
        return vec![Examined::good(
            "keys",
            "they are made at the first start; on further servers copy them from the first",
        )];
    }
    let entries = match KeyFolder::look(data) {
        Ok(entries) => entries,
        Err(error) => return vec![Examined::bad("keys", error, "restore `keys.json` from a backup")],
    };
    let mut found = Vec::new();
    for role in [KeyRole::Issuer, KeyRole::Log] {
        let current = entries.iter().find(|entry| entry.role == role && entry.is_current());
        found.push(match current {
            Some(entry) => held_key(data, role, entry).await,
            None => Examined::bad(
                "keys",
                format!("no key signs as `{}`", role.as_str()),
                "make one with `gantral keys init`",
            ),
        });
    }
    found
}

async fn held_key(data: &Path, role: KeyRole, entry: &KeyEntry) -> Examined {
    let name = match &entry.held {
        Some(Held::File(name)) => name,
        Some(Held::OpenBao(config)) => return remote_key(role, config, entry).await,
        None => {
            return Examined::bad(
                "keys",
                format!("nobody holds the key of `{}`", role.as_str()),
                "rotate it: `gantral keys rotate`",
            );
        }
    };
    let path = data.join(name);
    let held = || {
        let bytes = read_private(&path).map_err(|error| error.to_string())?;
        let signer = LocalSigner::from_pkcs8(role, &bytes).map_err(|error| error.to_string())?;
        if *signer.public_key() != entry.public_key {
            return Err(format!("`{}` holds another key than `keys.json` says", path.display()));
        }
        Ok(())
    };
    match held() {
        Ok(()) => Examined::good(
            "keys",
            format!("`{}` is its owner's alone, and is the key of `{}`", path.display(), role.as_str()),
        ),
        Err(why) => Examined::bad(
            "keys",
            why,
            "restore it from a backup with mode 0600, or rotate it: `gantral keys rotate`",
        ),
    }
}

/// Asks OpenBao for the key that it is to sign with.
async fn remote_key(role: KeyRole, config: &OpenBaoConfig, entry: &KeyEntry) -> Examined {
    let connecting = OpenBaoSigner::connect(role, config, Some(&entry.public_key));
    let remedy = "is OpenBao unsealed, does it answer from this machine, and may the token read the key? See docs/platform/keys.md";
    match timeout(WITHIN, connecting).await {
        Ok(Ok(_)) => Examined::good("keys", format!("OpenBao has the key of `{}`", role.as_str())),
        Ok(Err(error)) => Examined::bad("keys", error, remedy),
        Err(_) => Examined::bad("keys", "OpenBao does not answer", remedy),
    }
}
