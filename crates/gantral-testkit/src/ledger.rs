//! Copies of a ledger, as somebody makes and restores them.

use std::path::Path;

/// The file, and what SQLite keeps beside it: together they are the ledger.
const FILES: [&str; 3] = ["ledger.db", "ledger.db-wal", "ledger.db-shm"];

/// Makes the ledger of the folder `to` what that of `from` is. Nobody may have either open.
pub fn copy_ledger(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("the folder can be made");
    for name in FILES {
        let (from, to) = (from.join(name), to.join(name));
        if from.exists() {
            std::fs::copy(&from, &to).expect("the file can be copied");
        } else if to.exists() {
            std::fs::remove_file(&to).expect("the file can be removed");
        }
    }
}
