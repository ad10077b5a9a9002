//! The section `[retention]` of the configuration, and the loop that erases what was kept for its time.
//!
//! Of several servers one does it, the one that has the duty ([`Duty::Retention`]). Were two of them to do it at the same moment, each would find done what the
//! other did, so that what is erased here needs no number of a lease.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use gantral_core::ids::TenantId;
use gantral_core::time::DurationMs;
use gantral_engine::{EngineError, Retention};
use gantral_store::{Duty, OnDuty};
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::app::App;
use crate::turns::in_turn;

/// The shortest and the longest that content is kept by configuration: who wants it longer says nothing.
const SPANS: RangeInclusive<DurationMs> =
    DurationMs::from_secs(1)..=DurationMs::from_secs(100 * 365 * 86_400);
/// How long after a pass the next one begins: content outlives its time by this much at most, and by a pass.
const PASS_EVERY: Duration = Duration::from_secs(600);
/// How long after a step that erased something the next one is made: others write in between.
const PAUSE: Duration = Duration::from_millis(250);
/// How long after one that found nothing to erase.
const LOOK_PAUSE: Duration = Duration::from_millis(10);

/// The section `[retention]`. What is absent is kept for ever.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionSettings {
    /// For how long after the end of an execution its content is kept, such as `365d`: `1s` to `36500d`.
    #[serde(default)]
    pub content: Option<String>,
    /// Tenants with a section of their own, which counts in place of the one above: without `content` in it theirs is kept for ever.
    #[serde(default)]
    pub tenants: BTreeMap<String, TenantRetentionSettings>,
}

/// For how long something of one tenant is kept.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantRetentionSettings {
    /// As `content` of the section.
    #[serde(default)]
    pub content: Option<String>,
}

/// What is wrong with the section. Its author's fault.
#[derive(Debug, thiserror::Error)]
pub enum RetentionError {
    /// No such time.
    #[error(
        "`{member}` is `{text}`, which is not a time from `1s` to `36500d`; leave it out where content is kept for ever"
    )]
    Time {
        /// The member.
        member: String,
        /// As it was written.
        text: String,
    },
    /// A tenant that is not served.
    #[error("`retention.tenants` has `{tenant}`, which `tenants` does not name")]
    Tenant {
        /// As it was written.
        tenant: String,
    },
}

impl RetentionSettings {
    /// Reads the section for the tenants that are served.
    ///
    /// # Errors
    /// `RetentionError`, naming the member.
    pub fn open(&self, tenants: &[TenantId]) -> Result<Retention, RetentionError> {
        let mut retention =
            Retention { usual: span("retention.content", self.content.as_ref())?, ..Retention::default() };
        for (name, of) in &self.tenants {
            let served = tenants.iter().find(|tenant| tenant.as_str() == name);
            let tenant = served.ok_or_else(|| RetentionError::Tenant { tenant: name.clone() })?;
            let own = span(&format!("retention.tenants.{name}.content"), of.content.as_ref())?;
            retention.tenants.insert(tenant.clone(), own);
        }
        Ok(retention)
    }
}

fn span(member: &str, text: Option<&String>) -> Result<Option<DurationMs>, RetentionError> {
    let Some(text) = text else { return Ok(None) };
    let span = DurationMs::parse(text).filter(|span| SPANS.contains(span));
    let wrong = || RetentionError::Time { member: member.to_owned(), text: text.clone() };
    span.ok_or_else(wrong).map(Some)
}

/// Erases what was kept for its time whenever it is this server's duty, until `shutdown` turns true. Ends at once where everything is kept for ever.
pub(crate) async fn run_retention(app: App, shutdown: watch::Receiver<bool>) {
    if app.0.tenants.iter().all(|tenant| app.engine().content_kept(tenant).is_none()) {
        return;
    }
    in_turn(&app, Duty::Retention, shutdown, |app, on_duty| Box::pin(passes(app, on_duty))).await;
}

/// Makes one pass after the other, until another server may.
async fn passes(app: &App, on_duty: &OnDuty) {
    loop {
        let pass = async {
            for tenant in &app.0.tenants {
                if let Err(error) = pass(app, tenant).await {
                    tracing::error!(%tenant, %error, "content that was kept for its time is not erased; the next pass tries again");
                }
            }
            sleep(PASS_EVERY).await;
        };
        tokio::select! {
            () = pass => {}
            () = on_duty.lost() => return,
        }
    }
}

/// Looks at all executions of a tenant that have ended.
async fn pass(app: &App, tenant: &TenantId) -> Result<(), EngineError> {
    let Some(kept) = app.engine().content_kept(tenant) else { return Ok(()) };
    let mut after = None;
    loop {
        // A ledger that is behind, and a clock that is apart, decide nothing; whoever is asked whether this server is ready says so.
        let (true, Ok(now)) = (app.may_write().is_ok(), app.now()) else { return Ok(()) };
        let step = app.engine().retain(tenant, kept, now, after).await?;
        app.0.metrics.content_erased(tenant, step.instances);
        if step.instances > 0 {
            tracing::info!(%tenant, instances = step.instances, bytes = step.bytes, "content was kept for its time and is erased");
        }
        after = step.next;
        if after.is_none() {
            return Ok(());
        }
        sleep(if step.instances > 0 { PAUSE } else { LOOK_PAUSE }).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_kept_for_a_time_within_bounds_or_for_ever() {
        let acme = TenantId::parse("acme").unwrap();
        let other = TenantId::parse("other").unwrap();
        let tenants = [acme.clone(), other.clone()];
        let read = |text: &str| toml::from_str::<RetentionSettings>(text).unwrap().open(&tenants);
        for (text, usual, own) in [
            ("", None, None),
            ("content = '365d'", Some(365), Some(365)),
            ("content = '365d'\n[tenants.acme]\ncontent = '30d'", Some(365), Some(30)),
            // A tenant whose content somebody wants held.
            ("content = '365d'\n[tenants.acme]", Some(365), None),
        ] {
            let days = |days: u64| DurationMs::from_secs(days * 86_400);
            let retention = read(text).unwrap();
            assert_eq!(
                (retention.of(&other), retention.of(&acme)),
                (usual.map(days), own.map(days)),
                "{text}"
            );
        }
        for (text, told) in [
            ("content = '0s'", "`retention.content` is `0s`"),
            ("content = 'for ever'", "`retention.content` is `for ever`"),
            ("[tenants.acme]\ncontent = '36501d'", "`retention.tenants.acme.content` is `36501d`"),
            ("[tenants.nobody]", "has `nobody`"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }
}
