//! `gantral keys`: the signing keys of a server, in its data folder.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use gantral_core::ids::{LogOrigin, TenantId};
use gantral_core::state::HumanEvidence;
use gantral_evidence::container::Scope;
use gantral_evidence::human::{Origin, RelyingParty, RelyingPartyId};
use gantral_evidence::keys::{KeyId, PublicKey};
use gantral_evidence::trust::{KeyRole, Require};
use gantral_identity::TokenKey;
use gantral_keys::{
    Held, KeyEntry, KeyFolder, KeysError, LogIndex, LogReach, NewKey, OPENBAO_TIMEOUT_DEFAULT, OpenBaoConfig,
    TrustTerms, export_trust,
};
use gantral_server::keys::{ATTEMPTS, log_of, log_reach};
use serde::Serialize;

use self::install::InstallArgs;
use super::store_place::StorePlace;
use crate::connection::run as converse;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::{LOOK, Out, styled};
use crate::table::table;

mod install;

/// How long after its `issued_at` an artifact may stay out of the log: far longer than a server that works needs.
const LOG_DELAY_MS: u64 = 3_600_000;
/// How far clocks of machines that ask for the time lie apart.
const LOG_SKEW_MS: u64 = 60_000;

/// Arguments of `keys`.
#[derive(Debug, Args)]
pub struct KeysArgs {
    /// The data folder of the server
    #[arg(long, global = true, value_name = "DIR", default_value = ".gantral-dev/data")]
    data: PathBuf,
    /// What to do.
    #[command(subcommand)]
    command: KeysCommand,
}

/// Subcommands of `keys`.
#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// Makes the first keys, or takes those over that there are
    Init(Place),
    /// Copies the keys of a deployment into the folder, from where they are handed over
    Install(InstallArgs),
    /// Lists the keys: what signs, what signed, and up to where in the logs
    Ls,
    /// Replaces a key; the one before stays good for what it signed
    Rotate(RotateArgs),
    /// Notes that a key was in other hands from a place in the log on
    Revoke(RevokeArgs),
    /// Writes the trust file that a relying party starts from
    ExportTrust(ExportArgs),
}

/// Where a key is to be.
#[derive(Debug, Args)]
#[command(next_help_heading = "An issuer key in OpenBao; in a file of the folder when absent")]
struct Place {
    /// The address of OpenBao
    #[arg(long, value_name = "URL", requires = "openbao_key", requires = "openbao_token_file")]
    openbao_url: Option<String>,
    /// The name of the key in its transit engine, of type ed25519
    #[arg(long, value_name = "NAME", requires = "openbao_url")]
    openbao_key: Option<String>,
    /// The file with the token; read anew for every request
    #[arg(long, value_name = "FILE", requires = "openbao_url")]
    openbao_token_file: Option<PathBuf>,
    /// The certificate authorities to trust instead of the system's, PEM
    #[arg(long, value_name = "FILE", requires = "openbao_url")]
    openbao_ca_file: Option<PathBuf>,
    /// Where the transit engine is mounted
    #[arg(long, value_name = "PATH", default_value = "transit")]
    openbao_mount: String,
}

/// Arguments of `keys rotate`.
#[derive(Debug, Args)]
struct RotateArgs {
    /// Which key
    #[arg(long, value_parser = ["issuer", "log"])]
    role: String,
    /// Where the window of the old key ends and that of the new one begins; read from the ledger when absent
    #[arg(long, value_name = "INDEX", requires = "log")]
    at_index: Option<u64>,
    /// The log of that index, such as `acme/log`
    #[arg(long, value_name = "ORIGIN", requires = "at_index", value_parser = LogOrigin::parse)]
    log: Option<LogOrigin>,
    /// Where the ledger is.
    #[command(flatten)]
    ledger: StorePlace,
    /// Where the new key is to be.
    #[command(flatten)]
    place: Place,
}

/// Arguments of `keys revoke`.
#[derive(Debug, Args)]
struct RevokeArgs {
    /// The key
    #[arg(value_parser = KeyId::parse)]
    key_id: KeyId,
    /// The first index of the log from which nothing that it signed counts
    #[arg(long, value_name = "INDEX")]
    from_index: u64,
    /// The log of that index, such as `acme/log`; every log when absent
    #[arg(long, value_name = "ORIGIN", value_parser = LogOrigin::parse)]
    log: Option<LogOrigin>,
}

/// Arguments of `keys export-trust`.
#[derive(Debug, Args)]
struct ExportArgs {
    /// The tenant, whose log is named too; any tenant and no log when absent
    #[arg(long, value_name = "TENANT", value_parser = TenantId::parse)]
    tenant: Option<TenantId>,
    /// What a bundle must show beyond good signatures: `scope=complete`, `enforced`, `logged`, `witnessed=N`, `complete`, `snapshots`,
    /// `human_evidence=KIND`, `human_device_bound`
    #[arg(long, value_name = "WHAT,…", value_delimiter = ',', value_parser = demand)]
    require: Vec<Demand>,
    /// For whom authenticators of humans sign: the name of a host
    #[arg(long, value_name = "ID", requires = "origins", value_parser = RelyingPartyId::parse)]
    relying_party: Option<RelyingPartyId>,
    /// A page on which they may be asked, such as `https://gantral.example.com`
    #[arg(long = "origin", id = "origins", value_name = "ORIGIN", requires = "relying_party", value_parser = Origin::parse)]
    origins: Vec<Origin>,
    /// A public key of the directory that enrols authenticators, in hexadecimal
    #[arg(long = "directory-key", value_name = "KEY", value_parser = PublicKey::parse)]
    directory: Vec<PublicKey>,
}

/// One requirement of a relying party.
#[derive(Debug, Clone, Copy)]
enum Demand {
    ScopeComplete,
    Enforced,
    Logged,
    Witnessed(u32),
    Complete,
    Snapshots,
    HumanEvidence(HumanEvidence),
    HumanDeviceBound,
}

/// Runs a subcommand.
pub fn run(args: &KeysArgs, out: Out) -> Result<Exit, Failure> {
    let data = &args.data;
    match &args.command {
        KeysCommand::Init(place) => init(data, place, out)?,
        KeysCommand::Install(args) => install::install(data, args, out)?,
        KeysCommand::Ls => show(&look(data)?, out)?,
        KeysCommand::Rotate(args) => rotate(data, args, out)?,
        KeysCommand::Revoke(args) => revoke(data, args, out)?,
        KeysCommand::ExportTrust(args) => export(data, args, out)?,
    }
    Ok(Exit::DONE)
}

fn init(data: &Path, place: &Place, out: Out) -> Result<(), Failure> {
    let elsewhere = place.new_key();
    let wants_openbao = matches!(elsewhere, NewKey::OpenBao(_));
    let folder = converse(async { KeyFolder::init(data, elsewhere).await.map_err(failed) })?;
    // Servers upon one ledger share it with the others, so that it is made with them.
    TokenKey::load_or_generate(&data.join(ATTEMPTS))
        .map_err(|error| Failure::new(format!("the key of attempt tokens: {error}")))?;
    let in_openbao = |entry: &KeyEntry| matches!(entry.held, Some(Held::OpenBao(_)));
    if wants_openbao && !folder.entries().iter().any(in_openbao) {
        return Err(Failure::new(format!("`{}` has an issuer key already", data.display()))
            .hint("gantral keys rotate --role issuer --openbao-url … puts OpenBao in its place"));
    }
    show(folder.entries(), out)?;
    out.hint(format_args!("gantral keys export-trust --data {} > trust.json", data.display()));
    Ok(())
}

fn rotate(data: &Path, args: &RotateArgs, out: Out) -> Result<(), Failure> {
    let role = KeyRole::parse(&args.role).ok_or_else(|| Failure::new("no such role"))?;
    let given = args.log.clone().zip(args.at_index);
    let entries = converse(async {
        let mut folder = KeyFolder::change(data).map_err(failed)?;
        let reached = match given {
            Some((origin, index)) => vec![LogReach { origin, size: index, through: index }],
            None => log_reach(args.ledger.or(None).as_ref(), data).await.map_err(|error| {
                Failure::new(format!("cannot read how far the logs have come: {error}"))
                    .hint("say it: --log ORIGIN --at-index INDEX")
            })?,
        };
        if reached.is_empty() {
            out.talk(format_args!(
                "{} no log has a checkpoint yet: the key before keeps no end, until it is revoked",
                styled(LOOK, "note:")
            ));
        }
        folder.rotate(role, &args.place.new_key(), &reached).await.map_err(failed)?;
        Ok(folder.entries().to_vec())
    })?;
    show(&entries, out)?;
    out.hint("relying parties need the new key before they see what it signs: gantral keys export-trust");
    Ok(())
}

fn revoke(data: &Path, args: &RevokeArgs, out: Out) -> Result<(), Failure> {
    let mut folder = KeyFolder::change(data).map_err(failed)?;
    let from = LogIndex { log: args.log.clone(), index: args.from_index };
    let entry = folder.revoke(&args.key_id, &from).map_err(failed)?;
    if entry.is_current() {
        let role = entry.role.as_str();
        out.talk(format_args!("{} the server still signs with this key", styled(LOOK, "note:")));
        out.hint(format_args!("gantral keys rotate --role {role} --data {}", data.display()));
    }
    show(folder.entries(), out)
}

fn export(data: &Path, args: &ExportArgs, out: Out) -> Result<(), Failure> {
    let mut require = Require::signed();
    for demand in &args.require {
        demand.raise(&mut require);
    }
    let of_tenant = |tenant: &TenantId| -> Result<_, Failure> {
        let origin = log_of(tenant).map_err(|error| Failure::new(error.to_string()))?;
        Ok((tenant.clone(), origin))
    };
    let tenant = args.tenant.as_ref().map(of_tenant).transpose()?;
    let relying_party = args.relying_party.clone().map(|id| RelyingParty::new(id, args.origins.clone()));
    let terms = TrustTerms {
        tenant,
        require,
        directory: args.directory.clone(),
        relying_party: relying_party.transpose().map_err(|error| Failure::new(error.to_string()))?,
        delay_ms: LOG_DELAY_MS,
        skew_ms: LOG_SKEW_MS,
    };
    let trust = export_trust(&look(data)?, &terms).map_err(|error| {
        Failure::new(error.to_string()).hint("name the tenant: gantral keys export-trust --tenant TENANT")
    })?;
    out.bytes(&[&trust.encode()[..], b"\n"].concat())?;
    out.talk(format_args!(
        "{} this is what the operator says. A relying party pins it after comparing these key ids over another channel:",
        styled(LOOK, "note:")
    ));
    for key in trust.keys() {
        out.talk(format_args!("  {}", key.key.id()));
    }
    Ok(())
}

fn look(data: &Path) -> Result<Vec<KeyEntry>, Failure> {
    KeyFolder::look(data).map_err(failed)
}

/// Says what went wrong, and what to do about it.
fn failed(error: KeysError) -> Failure {
    let failure = Failure::new(error.to_string());
    match &error {
        KeysError::Missing { path } => failure.hint(format!("gantral keys init --data {}", path.display())),
        KeysError::InUse { .. } => {
            failure.hint("stop the server first: what a key signed, and where that ends, is then known")
        }
        KeysError::Unknown { .. } => failure.hint("gantral keys ls"),
        KeysError::Role { .. } => {
            failure.hint("only an issuer key can be in OpenBao: a checkpoint has no delegates")
        }
        KeysError::State { .. }
        | KeysError::OtherKey { .. }
        | KeysError::Compromised { .. }
        | KeysError::File(_)
        | KeysError::OpenBao(_)
        | KeysError::Delegations(_)
        | KeysError::Generate(_)
        | KeysError::Format(_) => failure,
    }
}

/// One key, as `--json` shows it.
#[derive(Debug, Serialize)]
struct Shown {
    role: &'static str,
    key_id: String,
    state: &'static str,
    held: Option<String>,
    valid_from: Vec<ShownIndex>,
    valid_until: Vec<ShownIndex>,
    compromised_from: Vec<ShownIndex>,
}

#[derive(Debug, Serialize)]
struct ShownIndex {
    log: Option<String>,
    index: u64,
}

impl Shown {
    fn of(entry: &KeyEntry) -> Self {
        let indexes = |limits: &[LogIndex]| {
            let shown = |limit: &LogIndex| ShownIndex {
                log: limit.log.as_ref().map(ToString::to_string),
                index: limit.index,
            };
            limits.iter().map(shown).collect::<Vec<_>>()
        };
        Self {
            role: entry.role.as_str(),
            key_id: entry.public_key.id().to_string(),
            state: match (entry.compromised_from.is_empty(), entry.is_current()) {
                (false, _) => "compromised",
                (true, true) => "current",
                (true, false) => "earlier",
            },
            held: entry.held.as_ref().map(|held| match held {
                Held::File(name) => name.clone(),
                Held::OpenBao(place) => format!("{}/{} in {}", place.mount, place.key, place.url),
            }),
            valid_from: indexes(&entry.valid_from),
            valid_until: indexes(&entry.valid_until),
            compromised_from: indexes(&entry.compromised_from),
        }
    }

    fn row(&self) -> Vec<String> {
        let indexes = |limits: &[ShownIndex]| {
            let text = |limit: &ShownIndex| match &limit.log {
                Some(log) => format!("{log} {}", limit.index),
                None => limit.index.to_string(),
            };
            let texts: Vec<String> = limits.iter().map(text).collect();
            if texts.is_empty() { "-".to_owned() } else { texts.join(", ") }
        };
        let end = if self.compromised_from.is_empty() { &self.valid_until } else { &self.compromised_from };
        vec![
            self.role.to_owned(),
            self.key_id.clone(),
            self.state.to_owned(),
            indexes(&self.valid_from),
            indexes(end),
            self.held.clone().unwrap_or_else(|| "-".to_owned()),
        ]
    }
}

fn show(entries: &[KeyEntry], out: Out) -> Result<(), Failure> {
    let shown: Vec<Shown> = entries.iter().map(Shown::of).collect();
    out.show(&shown, |shown| {
        let heading = ["ROLE", "KEY", "STATE", "FROM", "UNTIL", "HELD"].map(str::to_owned).to_vec();
        let rows: Vec<Vec<String>> = std::iter::once(heading).chain(shown.iter().map(Shown::row)).collect();
        table(&rows)
    })
}

impl Place {
    fn new_key(&self) -> NewKey {
        let (Some(url), Some(key), Some(token_file)) =
            (&self.openbao_url, &self.openbao_key, &self.openbao_token_file)
        else {
            return NewKey::File;
        };
        NewKey::OpenBao(OpenBaoConfig {
            url: url.clone(),
            mount: self.openbao_mount.clone(),
            key: key.clone(),
            token_file: token_file.clone(),
            ca_file: self.openbao_ca_file.clone(),
            timeout: OPENBAO_TIMEOUT_DEFAULT,
        })
    }
}

impl Demand {
    const fn raise(self, require: &mut Require) {
        match self {
            Self::ScopeComplete => require.scope = Scope::Complete,
            Self::Enforced => require.enforced = true,
            Self::Logged => require.logged = true,
            Self::Witnessed(by) => require.witnessed = by,
            Self::Complete => require.complete = true,
            Self::Snapshots => require.snapshots = true,
            Self::HumanDeviceBound => require.human_device_bound = true,
            Self::HumanEvidence(least) => require.human_evidence = Some(least),
        }
    }
}

fn demand(text: &str) -> Result<Demand, String> {
    match text.split_once('=') {
        None if text == "enforced" => Ok(Demand::Enforced),
        None if text == "logged" => Ok(Demand::Logged),
        None if text == "complete" => Ok(Demand::Complete),
        None if text == "human_device_bound" => Ok(Demand::HumanDeviceBound),
        None if text == "snapshots" => Ok(Demand::Snapshots),
        Some(("scope", "complete")) => Ok(Demand::ScopeComplete),
        Some(("witnessed", number)) => {
            number.parse().map(Demand::Witnessed).map_err(|error| format!("`{number}`: {error}"))
        }
        Some(("human_evidence", kind)) => HumanEvidence::parse(kind)
            .map(Demand::HumanEvidence)
            .ok_or_else(|| format!("no evidence `{kind}`")),
        _ => Err(format!("no requirement `{text}`")),
    }
}
