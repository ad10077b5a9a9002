//! Who is logged in to the console.

use gantral_core::digest::Digest;

use super::PostgresStore;
use super::columns::{millis, rows};
use super::db::params;
use crate::decoded::{self, SESSION};
use crate::error::StoreError;
use crate::sessions::{SESSIONS_MAX, SessionRow};

impl PostgresStore {
    pub(crate) async fn begin_session(&self, session: SessionRow) -> Result<(), StoreError> {
        self.write(session, |session, db, _| {
            Box::pin(async move {
                let SessionRow { id, issuer, subject, client, claims, started, ends } = session;
                db.execute("DELETE FROM session WHERE ends <= $1", params![millis(*started)]).await?;
                db.execute(
                    "INSERT INTO session(id, issuer, subject, client, claims, started, ends)
                     VALUES($1, $2, $3, $4, $5, $6, $7)",
                    params![
                        id.as_bytes().as_slice(),
                        issuer,
                        subject,
                        client,
                        claims,
                        millis(*started),
                        millis(*ends)
                    ],
                )
                .await?;
                // Of two that begin at once each may leave the other one out of the count: one more for a while harms nobody.
                db.execute(
                    "DELETE FROM session WHERE id IN (
                       SELECT id FROM session WHERE issuer = $1 AND subject = $2 ORDER BY started DESC, id OFFSET $3)",
                    params![issuer, subject, rows(SESSIONS_MAX)],
                )
                .await?;
                Ok(())
            })
        })
        .await
    }

    pub(crate) async fn session(&self, id: Digest) -> Result<Option<SessionRow>, StoreError> {
        let db = self.db().await?;
        let sql = format!("SELECT {SESSION} FROM session WHERE id = $1");
        let found = db.first(&sql, params![id.as_bytes().as_slice()]).await?;
        Ok(found.as_ref().map(decoded::session).transpose()?)
    }

    pub(crate) async fn end_session(&self, id: Digest) -> Result<(), StoreError> {
        self.write(id, |id, db, _| {
            Box::pin(async move {
                db.execute("DELETE FROM session WHERE id = $1", params![id.as_bytes().as_slice()]).await?;
                Ok(())
            })
        })
        .await
    }
}
