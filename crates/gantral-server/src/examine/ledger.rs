//! Whether the ledger can be reached, and is one that a server can work upon.

use gantral_store::{CONNECTIONS, DatabaseReport, inspect_postgres};

use super::{Examined, WITHIN};
use crate::clock::APART_MAX;
use crate::settings::Settings;
use crate::store::{LEDGER, StoreSettingsError};

pub(super) async fn ledger(settings: &Settings) -> Vec<Examined> {
    let Some(store) = &settings.store else {
        let file = settings.data.join(LEDGER);
        return vec![match std::fs::metadata(&file) {
            Ok(found) => Examined::good("ledger", format!("`{}`, {} bytes", file.display(), found.len())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Examined::good("ledger", format!("`{}` is made at the first start", file.display()))
            }
            Err(error) => Examined::bad(
                "ledger",
                format!("`{}`: {error}", file.display()),
                "run this as the user of the server",
            ),
        }];
    };
    let (url, password) = match store.access() {
        Ok(access) => access,
        Err(error) => return vec![Examined::bad("ledger", error, "correct the section `store`")],
    };
    match tokio::time::timeout(WITHIN, inspect_postgres(&url, password.as_ref())).await {
        Ok(Ok(report)) => database(&report, store.connections.unwrap_or(CONNECTIONS)),
        Ok(Err(error)) => {
            let error = StoreSettingsError::Connect { error };
            vec![Examined::bad(
                "ledger",
                error,
                "see docs/platform/postgresql.md; the log of the database says more",
            )]
        }
        Err(_) => vec![Examined::bad(
            "ledger",
            "the database does not answer",
            "is it running there, and may this machine connect to it?",
        )],
    }
}

fn database(report: &DatabaseReport, wanted: usize) -> Vec<Examined> {
    let DatabaseReport { server, version, schema, schema_known, skew, writable, permitted, connections } =
        report;
    let mut found = Vec::new();
    let schema = match schema {
        0 => "its schema is made at the first start".to_owned(),
        there if there < schema_known => {
            format!("schema {there} is brought to {schema_known} at the next start")
        }
        there => format!("schema {there}"),
    };
    found.push(Examined::good("ledger", format!("`{server}` is PostgreSQL {version}; {schema}")));
    if !writable {
        found.push(Examined::bad(
            "ledger",
            format!("`{server}` is a standby"),
            "name the primary in `store.url`",
        ));
    }
    if !permitted {
        let remedy =
            "let the role make the schema `gantral`, or own it and its tables: GRANT CREATE ON DATABASE";
        found.push(Examined::bad(
            "privileges",
            "the role that logs in may not do what a server does",
            remedy,
        ));
    }
    let (most, used) = *connections;
    let free = most.saturating_sub(used);
    let detail =
        format!("{used} of {most} connections are used; this server keeps up to {wanted}, and one to listen");
    found.push(if free > u64::try_from(wanted).unwrap_or(u64::MAX) {
        Examined::good("connections", detail)
    } else {
        Examined::bad("connections", detail, "lower `store.connections`, or raise `max_connections` of the database; servers that run are counted already")
    });
    let detail = format!("the clock of the database is {} ms away", skew.as_millis());
    found.push(if *skew <= APART_MAX {
        Examined::good("clock", detail)
    } else {
        Examined::bad(
            "clock",
            detail,
            "let both machines follow the same time, by NTP: beyond 5 s a server is not ready",
        )
    });
    found
}
