use gantral_evidence::delegation::DELEGATION_PAYLOAD_TYPE;
use gantral_evidence::dsse::{PAYLOAD_TYPE, pae};
use gantral_evidence::human::ENROLMENT_PAYLOAD_TYPE;

use super::*;

#[test]
fn key_signs_only_what_its_role_is_for() {
    let key = LocalSigner::generate().unwrap();
    let checkpoint = "a/log\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";
    let cosigned = format!("cosignature/v1\ntime 1\n{checkpoint}");
    let messages = [
        (SigningContext::Artifact, pae(PAYLOAD_TYPE, b"{}")),
        (SigningContext::Delegation, pae(DELEGATION_PAYLOAD_TYPE, b"{}")),
        (SigningContext::Enrolment, pae(ENROLMENT_PAYLOAD_TYPE, b"{}")),
        (SigningContext::Checkpoint, checkpoint.into()),
        (SigningContext::Cosignature, cosigned.into()),
    ];
    assert_eq!(messages.each_ref().map(|(context, _)| *context), SigningContext::ALL);
    for role in KeyRole::ALL {
        let signer = LocalSigner::from_pkcs8(role, &key).unwrap();
        for context in SigningContext::ALL {
            for (form, message) in &messages {
                let signed = signer.sign_now(context, message);
                if context.role() == role && *form == context {
                    let signed = signed.unwrap();
                    assert_eq!(signed.key_id, signer.public_key().id());
                    signer.public_key().verify_strict(message, &signed.bytes).unwrap();
                } else {
                    assert_eq!(signed, Err(SignError::WrongContext), "{role:?} {context:?} {form:?}");
                }
            }
        }
    }
}

#[test]
fn other_bytes_are_no_key() {
    let key = LocalSigner::generate().unwrap();
    assert!(LocalSigner::from_pkcs8(KeyRole::Issuer, &key[..key.len() - 1]).is_err());
    assert!(LocalSigner::from_pkcs8(KeyRole::Issuer, b"").is_err());
}
