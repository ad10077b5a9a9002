//! `gantral login` and `gantral logout`: a person gets tokens from their identity provider, and lets go of them.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use clap::Args;
use gantral_api::client::{CertificateFiles, Client, ClientConfig, TokenSource};
use gantral_api::wire::{LoginView, Me};
use gantral_core::json::text::inert;
use gantral_oidc::{DeviceCode, GrantError, Provider, PublicClient};
use serde_json::json;

use crate::cli::CertificateArgs;
use crate::connection::run as converse;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::logins::{Kept, Logins, Origin, address};
use crate::out::{GOOD, Out, STRONG, styled};
use crate::show::me;
use crate::when::{now, with_distance};

/// How long somebody has to log in with a browser of this machine.
const BROWSER_TIME: Duration = Duration::from_secs(300);

/// Arguments of `login`.
#[derive(Debug, Args)]
pub struct LoginArgs {
    /// The server; that of the last login when absent
    #[arg(long, env = "GANTRAL_URL", hide_env_values = true)]
    url: Option<String>,
    /// The identity provider, if the server knows several
    #[arg(long, value_name = "ISSUER")]
    issuer: Option<String>,
    /// Logs in with a browser of another machine: shows a code to type there
    #[arg(long)]
    device: bool,
    /// Opens the browser of this machine, also where it is not clear that there is one
    #[arg(long, conflicts_with = "device")]
    browser: bool,
    /// The certificate authorities to trust for the server instead of the system's, PEM
    #[arg(long, env = "GANTRAL_CA_FILE", value_name = "FILE", hide_env_values = true)]
    ca_file: Option<PathBuf>,
    /// The certificate that is shown to the server.
    #[command(flatten)]
    certificate: CertificateArgs,
    /// The certificate authorities to trust for the identity provider instead of the system's, PEM
    #[arg(long, env = "GANTRAL_PROVIDER_CA_FILE", value_name = "FILE", hide_env_values = true)]
    provider_ca_file: Option<PathBuf>,
}

/// Arguments of `logout`.
#[derive(Debug, Args)]
pub struct LogoutArgs {
    /// The server; that of the last login when absent
    #[arg(long, env = "GANTRAL_URL", hide_env_values = true)]
    url: Option<String>,
}

/// Logs in, and keeps what the provider gave if the server takes it.
pub fn login(args: &LoginArgs, out: Out) -> Result<Exit, Failure> {
    let logins = Logins::needed()?;
    let url = server(args.url.as_deref(), &logins)?;
    converse(async {
        let client = |token| {
            let (ca_file, certificate) = (args.ca_file.clone(), args.certificate.files());
            Client::new(ClientConfig { ca_file, certificate, ..ClientConfig::new(&url, token) })
        };
        let offered = client(TokenSource::None)?.logins().await?.items;
        let origin = origin(args, &url, chosen(offered, args.issuer.as_deref())?)?;
        let failed = |error: GrantError| provider_failed(&origin.issuer, &error);
        let provider = Provider::discover(&origin.issuer, origin.provider_ca_file.as_deref());
        let provider = provider.await.map_err(failed)?;
        let granted = if args.device {
            provider.login_with_device(&origin.client, |code| tell_code(out, code)).await
        } else {
            let show = |address: &_| tell_address(out, args.browser, address);
            provider.login_with_browser(&origin.client, BROWSER_TIME, show).await
        };
        let kept = Kept::new(origin.clone(), granted.map_err(failed)?, now())?;
        let me = client(TokenSource::Fixed(kept.token().to_owned()))?.me().await?;
        let _lock = logins.lock(&url).await?;
        logins.write(&kept)?;
        logins.set_current(&url)?;
        logged_in(&kept, &me, out)
    })
}

fn logged_in(kept: &Kept, me: &Me, out: Out) -> Result<Exit, Failure> {
    let document = json!({ "url": kept.url, "issuer": kept.issuer, "me": me, "expires_at": kept.expires_at().to_text() });
    out.show(&document, |_| {
        format!("{} at {} as {}", styled(GOOD, "logged in"), inert(&kept.url), me::line(me))
    })?;
    if kept.refresh_token().is_none() {
        let until = with_distance(kept.expires_at(), now());
        out.hint(format_args!("the provider lets nobody renew this login: it ends {until}"));
    }
    Ok(Exit::DONE)
}

/// Forgets the login at a server, and tells the provider.
pub fn logout(args: &LogoutArgs, out: Out) -> Result<Exit, Failure> {
    let logins = Logins::needed()?;
    let url = server(args.url.as_deref(), &logins)?;
    converse(async {
        let _lock = logins.lock(&url).await?;
        let kept = match logins.read(&url) {
            Ok(None) => return Err(Failure::new(format!("nobody is logged in at `{url}`"))),
            Ok(Some(kept)) => Some(kept),
            // One that cannot be read is forgotten all the same.
            Err(_) => None,
        };
        logins.remove(&url)?;
        let told = match &kept {
            Some(kept) => revoke(kept, out).await,
            None => false,
        };
        out.show(&json!({ "url": url, "revoked": told }), |_| {
            format!("{} at {}", styled(GOOD, "logged out"), inert(&url))
        })?;
        if let Some(kept) = kept.filter(|kept| now() < kept.expires_at()) {
            let until = with_distance(kept.expires_at(), now());
            out.hint(format_args!("what was copied of its last token stays good until {until}"));
        }
        Ok(Exit::DONE)
    })
}

/// Tells the provider that nobody will renew the login; says so if it cannot be told.
async fn revoke(kept: &Kept, out: Out) -> bool {
    let Some(token) = kept.refresh_token() else { return false };
    let revoked = async {
        let provider = Provider::discover(&kept.issuer, kept.provider_ca_file.as_deref()).await?;
        provider.revoke(&kept.client(), &token).await
    };
    match revoked.await {
        Ok(told) => told,
        Err(error) => {
            out.hint(format_args!("`{}` was not told: {error}", inert(&kept.issuer)));
            false
        }
    }
}

fn server(given: Option<&str>, logins: &Logins) -> Result<String, Failure> {
    let last = || logins.current().ok_or_else(|| Failure::new("no server is named").hint("give `--url URL`"));
    address(&given.map_or_else(last, |url| Ok(url.to_owned()))?)
}

fn chosen(offered: Vec<LoginView>, issuer: Option<&str>) -> Result<LoginView, Failure> {
    let names: Vec<String> = offered.iter().map(|login| format!("`{}`", login.issuer)).collect();
    let mut fitting = offered.into_iter().filter(|login| issuer.is_none_or(|issuer| issuer == login.issuer));
    match (fitting.next(), fitting.next()) {
        (Some(login), None) => Ok(login),
        (Some(_), Some(_)) => {
            let hint = format!("give `--issuer ISSUER`, one of {}", names.join(", "));
            Err(Failure::new("the server knows several identity providers").hint(inert(&hint)))
        }
        (None, _) if names.is_empty() => Err(Failure::new("the server names no provider to log in with")
            .hint("its operator does, in `identity.issuers.login`; until then give `--token-file FILE`")),
        (None, _) => {
            let hint = format!("it knows {}", names.join(", "));
            let issuer = issuer.unwrap_or_default();
            Err(Failure::new(format!("the server does not know `{issuer}`")).hint(inert(&hint)))
        }
    }
}

fn origin(args: &LoginArgs, url: &str, login: LoginView) -> Result<Origin, Failure> {
    // A later command is given in another folder.
    let found =
        |path: &PathBuf| std::path::absolute(path).map_err(|error| Failure::file("find", path, &error));
    let absolute = |path: &Option<PathBuf>| path.as_ref().map(found).transpose();
    let certificate = args.certificate.files();
    let certificate = certificate.map(|files| {
        Ok::<_, Failure>(CertificateFiles { chain: found(&files.chain)?, key: absolute(&files.key)? })
    });
    Ok(Origin {
        url: url.to_owned(),
        issuer: login.issuer,
        client: PublicClient {
            id: login.client_id,
            scopes: login.scopes,
            audience: login.audience,
            resource: login.resource,
            prompt: login.prompt,
        },
        sends: login.token,
        ca_file: absolute(&args.ca_file)?,
        certificate: certificate.transpose()?,
        provider_ca_file: absolute(&args.provider_ca_file)?,
    })
}

fn provider_failed(issuer: &str, error: &GrantError) -> Failure {
    let failure = Failure::new(format!("`{issuer}`: {error}")).code("not_logged_in");
    match error {
        GrantError::Endpoint("device_authorization_endpoint") => {
            failure.hint("it has no device flow: log in without `--device`")
        }
        _ => failure,
    }
}

fn tell_address(out: Out, asked: bool, address: &impl std::fmt::Display) {
    let address = address.to_string();
    out.talk(format_args!(
        "open this address in a browser of this machine, and log in:\n\n{}\n",
        styled(STRONG, &address)
    ));
    if asked || browser_is_likely() {
        open(&address, asked, out);
    } else {
        out.hint("for a browser of another machine: gantral login --device");
    }
}

fn tell_code(out: Out, code: &DeviceCode) {
    out.talk(format_args!(
        "open {} in any browser, and type this code:\n\n{}\n",
        code.address,
        styled(STRONG, &code.user_code),
    ));
    if let Some(address) = &code.address_with_code {
        out.talk(format_args!("or open {address}\n"));
    }
    out.hint(format_args!(
        "you have {} minutes; say yes only to a code that you asked for",
        code.expires_in.as_secs().div_ceil(60)
    ));
}

/// Tells whether a browser would open in front of whoever typed the command.
fn browser_is_likely() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let desktop = cfg!(target_os = "macos") || set("DISPLAY") || set("WAYLAND_DISPLAY");
    std::io::stderr().is_terminal() && desktop && !set("SSH_CONNECTION")
}

/// Opens the browser. That it does not open is no failure: the address is on the screen.
fn open(address: &str, asked: bool, out: Out) {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let nothing = Stdio::null;
    let opened =
        Command::new(program).arg(address).stdin(nothing()).stdout(nothing()).stderr(nothing()).spawn();
    if let Err(error) = opened
        && asked
    {
        out.hint(format_args!("`{program}` does not start: {error}"));
    }
}
