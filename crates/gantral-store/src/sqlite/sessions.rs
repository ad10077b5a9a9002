//! Who is logged in to the console.

use gantral_core::digest::Digest;
use rusqlite::{OptionalExtension as _, params};

use super::SqliteStore;
use super::columns::{millis, rows};
use crate::decoded::{self, SESSION};
use crate::error::StoreError;
use crate::sessions::{SESSIONS_MAX, SessionRow};

impl SqliteStore {
    pub(crate) async fn begin_session(&self, session: SessionRow) -> Result<(), StoreError> {
        self.write(move |connection, _| {
            let SessionRow { id, issuer, subject, client, claims, started, ends } = &session;
            connection.prepare_cached("DELETE FROM session WHERE ends <= ?1")?.execute([millis(*started)])?;
            connection
                .prepare_cached(
                    "INSERT INTO session(id, issuer, subject, client, claims, started, ends)
                     VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?
                .execute(params![id.as_bytes(), issuer, subject, client, claims, millis(*started), millis(*ends)])?;
            connection
                .prepare_cached(
                    "DELETE FROM session WHERE id IN (
                       SELECT id FROM session WHERE issuer = ?1 AND subject = ?2 ORDER BY started DESC, id LIMIT -1 OFFSET ?3)",
                )?
                .execute(params![issuer, subject, rows(SESSIONS_MAX)])?;
            Ok(())
        })
        .await
    }

    pub(crate) async fn session(&self, id: Digest) -> Result<Option<SessionRow>, StoreError> {
        self.read(move |connection| {
            let mut select =
                connection.prepare_cached(&format!("SELECT {SESSION} FROM session WHERE id = ?1"))?;
            Ok(select.query_row([id.as_bytes()], |row| decoded::session(row)).optional()?)
        })
        .await
    }

    pub(crate) async fn end_session(&self, id: Digest) -> Result<(), StoreError> {
        self.write(move |connection, _| {
            connection.prepare_cached("DELETE FROM session WHERE id = ?1")?.execute([id.as_bytes()])?;
            Ok(())
        })
        .await
    }
}
