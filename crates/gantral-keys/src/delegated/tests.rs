use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use gantral_evidence::delegation::DelegationError;
use gantral_evidence::dsse::{PAYLOAD_TYPE, pae};
use gantral_evidence::keys::KeyId;

use super::*;
use crate::delegations::DelegationsError;

const DAY: u64 = 86_400_000;
const BEGIN: u64 = 1_700_000_000_000;

fn at(millis: u64) -> UnixMillis {
    UnixMillis::new(millis).unwrap()
}

/// An issuer key far away: it counts what it is asked for, can be gone, and can hang.
struct Remote {
    signer: LocalSigner,
    asked: AtomicUsize,
    gone: AtomicBool,
    hangs: AtomicBool,
}

impl Signer for Remote {
    fn public_key(&self) -> &PublicKey {
        self.signer.public_key()
    }

    fn sign<'a>(
        &'a self,
        context: SigningContext,
        message: &'a [u8],
    ) -> BoxFuture<'a, Result<Signature, SignError>> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::Relaxed);
            if self.hangs.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
            if self.gone.load(Ordering::Relaxed) {
                return Err(SignError::Unavailable);
            }
            self.signer.sign(context, message).await
        })
    }
}

struct World {
    folder: tempfile::TempDir,
    issuer: Arc<Remote>,
    signer: Arc<DelegatedSigner>,
}

impl World {
    fn new(terms: DelegationTerms) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let signer = LocalSigner::from_pkcs8(KeyRole::Issuer, &LocalSigner::generate().unwrap()).unwrap();
        let (asked, gone, hangs) = (AtomicUsize::new(0), AtomicBool::new(false), AtomicBool::new(false));
        let issuer = Arc::new(Remote { signer, asked, gone, hangs });
        let kept = Arc::new(Delegations::open(folder.path(), &[]).unwrap());
        let delegated = DelegatedSigner::new(Arc::clone(&issuer) as Arc<dyn Signer>, terms, kept);
        Self { folder, issuer, signer: Arc::new(delegated) }
    }

    fn kept(&self) -> Result<Delegations, DelegationsError> {
        Delegations::open(self.folder.path(), &[self.issuer.public_key().clone()])
    }

    async fn renew(&self, millis: u64) -> Renewal {
        self.signer.renew(at(millis)).await.unwrap()
    }

    async fn sign(&self, tenant: &str, millis: u64) -> Result<KeyId, SignError> {
        let message = artifact(tenant, millis);
        let signature = self.signer.sign(SigningContext::Artifact, &message).await?;
        let kept = self.kept().unwrap().find(&signature.key_id).unwrap();
        kept.delegation.delegate.verify_strict(&message, &signature.bytes).unwrap();
        let origin = LogOrigin::parse(&format!("{tenant}/log")).unwrap();
        kept.delegation.permits(&TenantId::parse(tenant).unwrap(), &origin, at(millis)).unwrap();
        Ok(signature.key_id)
    }
}

fn artifact(tenant: &str, millis: u64) -> Vec<u8> {
    let issued = at(millis).to_text();
    let predicate =
        format!("{{\"issued_at\":\"{issued}\",\"log_origin\":\"{tenant}/log\",\"tenant_id\":\"{tenant}\"}}");
    pae(PAYLOAD_TYPE, format!("{{\"predicate\":{predicate}}}").as_bytes())
}

#[tokio::test]
async fn issuer_key_signs_twice_a_day_at_most_however_much_is_signed() {
    let world = World::new(DelegationTerms::default());
    let mut keys = std::collections::BTreeSet::new();
    for minute in 0..3 * 24 * 60 {
        let now = BEGIN + minute * 60_000;
        world.renew(now).await;
        if minute % 30 == 0 {
            keys.insert(world.sign("acme", now).await.unwrap());
        }
    }
    assert_eq!(world.issuer.asked.load(Ordering::Relaxed), 6);
    assert_eq!(keys.len(), 6);
}

#[tokio::test]
async fn without_a_delegation_nothing_is_signed() {
    let world = World::new(DelegationTerms::default());
    assert_eq!(world.sign("acme", BEGIN).await, Err(SignError::Unavailable));
}

#[tokio::test]
async fn service_that_is_gone_is_noticed_when_the_time_of_the_delegate_is_over_and_not_before() {
    let world = World::new(DelegationTerms::default());
    assert_eq!(world.renew(BEGIN).await, Renewal::Renewed);
    assert_eq!(world.renew(BEGIN + DAY / 2 - 1).await, Renewal::NotDue);
    world.issuer.gone.store(true, Ordering::Relaxed);
    for now in [BEGIN + DAY / 2, BEGIN + DAY - 1] {
        assert!(matches!(world.signer.renew(at(now)).await, Err(RenewError::Signer(_))));
        world.sign("acme", now).await.unwrap();
    }
    assert_eq!(world.sign("acme", BEGIN + DAY).await, Err(SignError::Unavailable));
    world.issuer.gone.store(false, Ordering::Relaxed);
    assert_eq!(world.renew(BEGIN + DAY).await, Renewal::Renewed);
    world.sign("acme", BEGIN + DAY).await.unwrap();
}

#[tokio::test]
async fn signature_never_waits_for_a_renewal() {
    let world = World::new(DelegationTerms::default());
    world.renew(BEGIN).await;
    world.issuer.hangs.store(true, Ordering::Relaxed);
    let renewing = {
        let signer = Arc::clone(&world.signer);
        tokio::spawn(async move { signer.renew(at(BEGIN + DAY / 2)).await })
    };
    while world.issuer.asked.load(Ordering::Relaxed) < 2 {
        tokio::task::yield_now().await;
    }
    let signed = tokio::time::timeout(Duration::from_secs(5), world.sign("acme", BEGIN + DAY / 2)).await;
    assert!(signed.unwrap().is_ok());
    assert!(!renewing.is_finished());
    renewing.abort();
}

#[tokio::test]
async fn artifact_that_was_begun_before_a_renewal_is_signed_by_the_delegate_of_its_time() {
    let world = World::new(DelegationTerms::default());
    world.renew(BEGIN).await;
    let first = world.sign("acme", BEGIN).await.unwrap();
    world.renew(BEGIN + DAY / 2).await;
    assert_ne!(world.sign("acme", BEGIN + DAY / 2).await.unwrap(), first);
    assert_eq!(world.sign("acme", BEGIN + DAY / 2 - 60_001).await.unwrap(), first);
    assert_eq!(world.sign("acme", BEGIN - 60_001).await, Err(SignError::Unavailable));
}

#[tokio::test]
async fn delegate_signs_artifacts_of_its_tenants_and_nothing_else() {
    let tenants = Some(vec![TenantId::parse("acme").unwrap()]);
    let world = World::new(DelegationTerms { tenants, ..DelegationTerms::default() });
    world.renew(BEGIN).await;
    world.sign("acme", BEGIN).await.unwrap();
    assert_eq!(world.sign("other", BEGIN).await, Err(SignError::Unavailable));
    let without_time = pae(PAYLOAD_TYPE, b"{}");
    let message = artifact("acme", BEGIN);
    for (context, message) in [
        (SigningContext::Artifact, &without_time),
        (SigningContext::Delegation, &message),
        (SigningContext::Enrolment, &message),
        (SigningContext::Checkpoint, &message),
        (SigningContext::Cosignature, &message),
    ] {
        let signed = world.signer.sign(context, message).await;
        assert_eq!(signed, Err(SignError::WrongContext), "{context:?}");
    }
}

#[tokio::test]
async fn period_beyond_what_a_verifier_accepts_is_refused() {
    for period in [DurationMs::from_secs(1), DELEGATION_MAX] {
        let world = World::new(DelegationTerms { period, ..DelegationTerms::default() });
        assert!(matches!(world.signer.renew(at(BEGIN)).await, Err(RenewError::Period)), "{period:?}");
    }
}

#[tokio::test]
async fn delegations_are_kept_and_read_back_by_those_who_know_the_issuer() {
    let world = World::new(DelegationTerms::default());
    world.renew(BEGIN).await;
    let id = world.sign("acme", BEGIN).await.unwrap();
    let kept = world.kept().unwrap().find(&id).unwrap();
    assert_eq!(kept.delegation.delegator, world.issuer.public_key().id());

    let stranger = Delegations::open(world.folder.path(), &[]).unwrap_err();
    assert!(
        matches!(&stranger, DelegationsError::Content { why: DelegationError::Unknown(_), .. }),
        "{stranger}"
    );
    let path = world.folder.path().join(format!("{id}.delegation.json"));
    std::fs::rename(&path, world.folder.path().join(format!("{}.delegation.json", "0".repeat(64)))).unwrap();
    let renamed = world.kept().unwrap_err();
    assert!(matches!(&renamed, DelegationsError::Name { .. }), "{renamed}");
}

#[tokio::test]
async fn delegation_that_cannot_be_kept_has_no_delegate() {
    let world = World::new(DelegationTerms::default());
    std::fs::remove_dir(world.folder.path()).unwrap();
    assert!(matches!(world.signer.renew(at(BEGIN)).await, Err(RenewError::File(_))));
    let signed = world.signer.sign(SigningContext::Artifact, &artifact("acme", BEGIN)).await;
    assert_eq!(signed, Err(SignError::Unavailable));
}
