//! The stranger's view: an instance's bundle, and what the verifier says of it.

use gantral_core::digest::{CommitmentLabel, commit};
use gantral_core::ids::InstanceId;
use gantral_evidence::bundle::BundleWriter;
use gantral_evidence::commitments::commitments;
use gantral_evidence::container::Scope;
use gantral_evidence::disclosure::Disclosure;
use gantral_evidence::dsse::Envelope;
use gantral_evidence::statement::Statement;
use gantral_evidence::trust::{Require, Trust, TrustedKey};
use gantral_evidence::verify::{Report, verify_tar};
use gantral_store::SnapshotContent;

use crate::world::World;

impl World {
    /// Exports everything that is kept of an instance, and has it verified under a trust file with this world's key.
    pub async fn verified(&self, id: InstanceId) -> Report {
        let (engine, tenant) = (self.engine(), self.tenant());
        let chain = engine.chain(&tenant, id).await.expect("the chain is there");
        let mut bundle = BundleWriter::new(id).expect("a bundle begins");
        let mut committed = Vec::new();
        for artifact in &chain {
            let envelope = Envelope::parse(&artifact.envelope).expect("an envelope");
            let statement = Statement::decode(&envelope.payload).expect("a statement");
            committed.extend(commitments(&statement.entry));
            bundle.artifact(artifact.envelope.clone()).expect("an artifact fits");
        }
        for snapshot in engine.snapshots(&tenant, id).await.expect("the snapshots are there") {
            let SnapshotContent::Kept { salt, plaintext } = snapshot.content else { continue };
            // What was evaluated is what is shown: one plaintext under two labels.
            for label in [snapshot.label, CommitmentLabel::Input] {
                if committed.contains(&(label, commit(label, &salt, &plaintext))) {
                    let disclosure = Disclosure { label, salt, plaintext: plaintext.clone() };
                    bundle.disclosure(&disclosure).expect("a disclosure fits");
                }
            }
        }
        let ended =
            engine.instance(&tenant, id).await.expect("the instance is there").instance.state().is_final();
        let scope = if ended { Scope::Complete } else { Scope::Prefix };
        let tar = bundle.finish_tar(scope).expect("the bundle is whole");
        let key = TrustedKey::issuer(engine.public_key().clone());
        let require = Require { scope, ..Require::signed() };
        let trust = Trust::new([key], Some(require)).expect("a trust file");
        verify_tar(&tar, Some(&trust))
    }
}
