//! Whoever writes to the database file makes no authority: the record is checked before anything rests on it.

use gantral_core::digest::CommitmentLabel;
use gantral_engine::EngineError;
use gantral_evidence::dsse::Envelope;
use gantral_evidence::statement::artifact_hash;
use rusqlite::{Connection, params};

use crate::script::{SELF, Script, Step};

/// Closes the world, lets somebody at its file, and opens it again.
fn tampered(script: &mut Script, tamper: impl FnOnce(&Connection)) {
    script.world.close();
    let connection = Connection::open(script.world.file()).unwrap();
    let triggers =
        "SELECT group_concat('DROP TRIGGER ' || name, ';') FROM sqlite_master WHERE type = 'trigger'";
    let drop: String = connection.query_row(triggers, [], |row| row.get(0)).unwrap();
    connection.execute_batch(&drop).unwrap();
    tamper(&connection);
    connection.close().unwrap();
    script.world.open();
}

/// Rewrites the newest artifact: its bytes, its hash and the head that the index names.
fn rewrite(connection: &Connection, rehash: bool, change: impl FnOnce(&mut Envelope)) {
    let newest = "SELECT sequence, envelope FROM artifact ORDER BY sequence DESC LIMIT 1";
    let (sequence, column): (i64, Vec<u8>) =
        connection.query_row(newest, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    // A mark, how long the payload is, the payload, and what stands behind it in the envelope.
    let (length, rest) = column[1..].split_first_chunk().unwrap();
    let (payload, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
    let mut envelope = Envelope::parse(&[b"{\"payload\":\"", rest].concat()).unwrap();
    envelope.payload = payload.to_vec();
    change(&mut envelope);
    let update = "UPDATE artifact SET envelope = ?2 WHERE sequence = ?1";
    connection.execute(update, params![sequence, envelope.encode()]).unwrap();
    if rehash {
        let hash = artifact_hash(&envelope.payload);
        let update = "UPDATE artifact SET hash = ?2 WHERE sequence = ?1";
        connection.execute(update, params![sequence, hash.as_bytes()]).unwrap();
        connection.execute("UPDATE instance SET head_hash = ?1", params![hash.as_bytes()]).unwrap();
    }
}

/// Replaces one text by another of the same length in the payload.
fn replaced(envelope: &mut Envelope, from: &str, to: &str) {
    let text = String::from_utf8(envelope.payload.clone()).unwrap();
    assert!(text.contains(from), "{text}");
    envelope.payload = text.replace(from, to).into_bytes();
}

/// Plays to the moment before a step, tampers, and expects that the step finds the record damaged and does nothing.
async fn check(count: usize, step: Step, tamper: impl FnOnce(&Connection)) {
    let mut script = Script::begin(SELF, count).await;
    let sealed = script.stored().await;
    tampered(&mut script, tamper);
    let error = script.step(step).await.unwrap_err();
    assert!(matches!(error, EngineError::Damaged { .. }), "{error:?}");
    let now = script.stored().await;
    assert!(now <= sealed, "{step:?} sealed something");
}

impl Script {
    /// Returns how many artifacts are stored, whatever they hold.
    async fn stored(&self) -> usize {
        let chain = self.world.engine().chain(&self.world.tenant(), self.id()).await;
        chain.map_or(0, |chain| chain.len())
    }
}

#[tokio::test]
async fn a_changed_artifact_is_found() {
    check(4, Step::Begin, |c| rewrite(c, false, |e| replaced(e, "FINANCE_LEAD", "RISK_OFFICER"))).await;
    check(3, Step::Approve, |c| rewrite(c, false, |e| replaced(e, "FINANCE_LEAD", "RISK_OFFICER"))).await;
}

#[tokio::test]
async fn a_changed_artifact_is_found_though_every_hash_was_made_to_fit() {
    check(3, Step::Approve, |c| rewrite(c, true, |e| replaced(e, "FINANCE_LEAD", "RISK_OFFICER"))).await;
    check(5, Step::Consume, |c| rewrite(c, true, |e| e.signatures[0].signature[0] ^= 1)).await;
    check(5, Step::Consume, |c| rewrite(c, true, |e| e.signatures[0].key_id = "0".repeat(64))).await;
}

#[tokio::test]
async fn a_chain_that_was_cut_short_is_found() {
    // Without its last artifact the instance would have no open consumption, and could act again.
    check(6, Step::Consume, |connection| {
        let newest = "DELETE FROM artifact WHERE sequence = (SELECT max(sequence) FROM artifact)";
        assert_eq!(connection.execute(newest, []).unwrap(), 1);
    })
    .await;
    check(6, Step::Consume, |connection| {
        connection.execute("DELETE FROM artifact", []).unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_changed_snapshot_is_found() {
    check(5, Step::Consume, |connection| {
        let change = "UPDATE snapshot SET plaintext = CAST(replace(CAST(plaintext AS TEXT), '48000', '99000') AS BLOB)";
        assert!(connection.execute(change, []).unwrap() > 0);
    })
    .await;
}

#[tokio::test]
async fn a_changed_workflow_definition_is_found() {
    check(2, Step::Ask { amount: 1, consume: true }, |connection| {
        let change =
            "UPDATE workflow SET definition = CAST(replace(CAST(definition AS TEXT), 'MEDIUM', 'LOW') AS BLOB)";
        assert_eq!(connection.execute(change, []).unwrap(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_key_that_is_not_known_signs_nothing_that_counts() {
    let mut script = Script::begin(SELF, 4).await;
    script.world.replace_key(false);
    script.world.restart();
    let error = script.step(Step::Begin).await.unwrap_err();
    assert!(matches!(error, EngineError::Damaged { .. }), "{error:?}");
}

#[tokio::test]
async fn a_chain_goes_on_under_a_new_key_when_the_old_one_is_still_known() {
    let mut script = Script::begin(SELF, 4).await;
    script.world.replace_key(true);
    script.world.restart();
    for step in &SELF[4..] {
        script.step(*step).await.unwrap();
    }
}

#[tokio::test]
async fn an_erased_action_is_not_consumed_and_the_chain_stands() {
    for label in [CommitmentLabel::Action, CommitmentLabel::Context] {
        let mut script = Script::begin(SELF, 5).await;
        let grant = script.facts().await.instance.grants[&script.learned.grant.unwrap()].clone();
        let commitment = if label == CommitmentLabel::Action { grant.action } else { grant.context };
        script.world.erase(script.id(), commitment).await;
        let error = script.step(Step::Consume).await.unwrap_err();
        assert!(matches!(error, EngineError::NotFound { .. }), "{error:?}");
        script.world.restart();
        assert!(script.step(Step::Consume).await.is_err());
        script.is_valid().await;
    }
}
