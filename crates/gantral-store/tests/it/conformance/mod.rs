//! What every backend must do.

mod appends;
mod candidates;
mod commits;
mod enrolments;
mod gates;
pub mod governance;
mod guards;
mod held;
mod idempotency;
pub mod logs;
mod outbox;
mod proposals;
mod registry;
mod sessions;
mod spending;
mod tasks;
mod tenants;
mod unobserved;

use gantral_store::Store;

/// One store on every backend that there is, dropped with its file.
pub struct Fresh {
    pub store: Store,
    _folder: tempfile::TempDir,
}

pub fn sqlite() -> Fresh {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open_sqlite(&folder.path().join("gantral.db")).unwrap();
    Fresh { store, _folder: folder }
}

/// Runs each case as one test per backend.
macro_rules! conformance {
    ($($case:ident),* $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let fresh = crate::conformance::sqlite();
                    super::$case(&fresh.store).await;
                }
            )*
        }
    };
}
pub(crate) use conformance;
