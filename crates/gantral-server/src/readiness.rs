//! What must hold for a server to be ready, looked at in one place for whoever asks: a load balancer, or Prometheus.

use gantral_api::problem::Code;

use crate::app::App;

/// One thing that was looked at.
pub(crate) struct Check {
    /// A word for it, from a closed set.
    pub name: &'static str,
    /// The code that a caller is refused with meanwhile, and why; `None` while all is well.
    pub wrong: Option<(Code, String)>,
}

/// Looks at everything that this server needs. What cannot be healed by waiting comes first.
pub(crate) fn look(app: &App) -> [Check; 6] {
    let not_ready = |why: String| (Code::NotReady, why);
    let check = |name, wrong| Check { name, wrong };
    let ledger =
        app.engine().store().healthy().inspect_err(|error| tracing::error!(%error, "not ready")).err();
    let apart = app.0.standing.apart(app.0.clock.now());
    let works = app.0.policy.workers().iter().any(|worker| worker.pid.is_some());
    let logs = app.0.logs.as_ref().and_then(|logs| logs.standing().none_grows);
    let archive = app.archive_standing().holds_back;
    [
        check("history", app.0.standing.behind().map(|why| (Code::ReadOnly, why))),
        check("ledger", ledger.map(|_| not_ready("the ledger does not accept writes".to_owned()))),
        check("clock", apart.map(|apart| not_ready(apart.to_string()))),
        check("policy", (!works).then(|| not_ready("no policy worker runs".to_owned()))),
        check("log", logs.map(|why| not_ready(format!("the logs have stopped growing: {why}")))),
        check(
            "archive",
            archive.map(|why| not_ready(format!("grants wait for the archive, which has stopped: {why}"))),
        ),
    ]
}
