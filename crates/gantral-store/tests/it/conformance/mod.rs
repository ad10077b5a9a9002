//! What every backend must do.

mod appends;
mod archive;
mod candidates;
mod commits;
mod crowds;
mod duties;
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
mod retention;
mod sessions;
mod spending;
mod tasks;
mod tenants;
mod unobserved;
mod usage;

use gantral_store::Store;

use gantral_testkit::cluster::Ledger;

/// One store on some backend, with what it stands in.
pub struct Fresh {
    pub store: Store,
    home: Home,
}

enum Home {
    /// A file in a folder, removed when dropped.
    Folder { _folder: tempfile::TempDir },
    /// A database, removed by [`Fresh::gone`].
    Database(String),
}

impl Fresh {
    /// Removes what the store stands in.
    pub async fn gone(self) {
        let Self { store, home } = self;
        if let Home::Database(database) = home {
            Ledger { store, database }.gone().await;
        }
    }
}

pub fn sqlite() -> Fresh {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open_sqlite(&folder.path().join("gantral.db")).unwrap();
    Fresh { store, home: Home::Folder { _folder: folder } }
}

pub async fn postgres() -> Fresh {
    let Ledger { store, database } = Ledger::fresh().await;
    Fresh { store, home: Home::Database(database) }
}

/// Makes another store on the backend of this one, with nothing in it.
pub async fn another(store: &Store) -> Fresh {
    match store {
        Store::Sqlite(_) => sqlite(),
        Store::Postgres(_) => postgres().await,
    }
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
        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let fresh = crate::conformance::postgres().await;
                    super::$case(&fresh.store).await;
                    fresh.gone().await;
                }
            )*
        }
    };
}
pub(crate) use conformance;
