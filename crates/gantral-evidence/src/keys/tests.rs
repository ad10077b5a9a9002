use alloc::string::ToString as _;
use alloc::vec::Vec;

use ed25519_dalek::{Signer as _, SigningKey};
use proptest::prelude::*;

use super::*;

fn bytes(hex: &str) -> Vec<u8> {
    hex::decode(hex).unwrap()
}

/// RFC 8032 §7.1: secret key, public key, message, signature (tests 1, 2, 3 and SHA(abc)).
const RFC_8032: [(&str, &str, &str, &str); 4] = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
    (
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ),
];

#[test]
fn the_vectors_of_the_standard_verify() {
    for (secret, public, message, signature) in RFC_8032 {
        let key = PublicKey::parse(public).unwrap();
        let signing = SigningKey::from_bytes(&parse_hex(secret).unwrap());
        assert_eq!(signing.verifying_key().as_bytes(), key.as_bytes());
        assert_eq!(signing.sign(&bytes(message)).to_vec(), bytes(signature));
        assert_eq!(key.verify_strict(&bytes(message), &bytes(signature)), Ok(()));
        assert_eq!(key.verify_strict(b"another message", &bytes(signature)), Err(SignatureError));
        assert_eq!(key.to_hex(), public);
    }
}

/// The eight points of small order in canonical encoding.
const SMALL_ORDER: [&str; 8] = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
];

#[test]
fn keys_of_small_order_are_refused() {
    for key in SMALL_ORDER {
        assert_eq!(PublicKey::parse(key), Err(KeyError::SmallOrder), "{key}");
    }
}

#[test]
fn other_encodings_of_a_point_are_refused() {
    for key in [
        // y = p + 1, which is 1; y = p, which is 0; and x = 0 with its sign set.
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        // No point has y = 2.
        "0200000000000000000000000000000000000000000000000000000000000000",
    ] {
        assert_eq!(PublicKey::parse(key), Err(KeyError::Encoding), "{key}");
    }
    assert_eq!(PublicKey::parse("00"), Err(KeyError::Syntax));
    assert_eq!(PublicKey::parse(&RFC_8032[0].1.to_uppercase()), Err(KeyError::Syntax));
}

/// After "Taming the many EdDSAs" (Chalkias, Garillot, Nikolaenko 2020).
#[test]
fn signatures_that_lenient_verifiers_accept_are_refused() {
    let (_, public, _, signature) = RFC_8032[0];
    let key = PublicKey::parse(public).unwrap();
    for point in SMALL_ORDER {
        let mut forged = bytes(point);
        forged.extend([0; 32]);
        assert_eq!(key.verify_strict(b"", &forged), Err(SignatureError), "{point}");
    }
    // S + L verifies under the same equation, and is another signature of the same message.
    let order = bytes("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let mut malleated = bytes(signature);
    let mut carry = 0_u16;
    for (byte, add) in malleated[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    assert_eq!(key.verify_strict(b"", &malleated), Err(SignatureError));
    for length in [0, 63, 65] {
        let mut wrong = bytes(signature);
        wrong.resize(length, 0);
        assert_eq!(key.verify_strict(b"", &wrong), Err(SignatureError), "{length} bytes");
    }
}

#[test]
fn a_key_is_named_by_a_labelled_digest() {
    let key = PublicKey::parse(RFC_8032[0].1).unwrap();
    let mut labelled = b"gantral/key/v1\0ed25519\0".to_vec();
    labelled.extend(key.as_bytes());
    assert_eq!(*key.id().digest(), Digest::of(&labelled));
    assert_eq!(KeyId::parse(&key.id().to_string()), Ok(key.id()));
    assert_eq!(key.id().short(), labelled_prefix(&labelled));
}

fn labelled_prefix(labelled: &[u8]) -> [u8; 8] {
    Digest::of(labelled).as_bytes()[..8].try_into().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_changed_bit_of_message_or_signature_never_verifies(
        seed in any::<[u8; 32]>(), message in proptest::collection::vec(any::<u8>(), 1..100), at in any::<prop::sample::Index>(), bit in 0_u8..8,
    ) {
        let signing = SigningKey::from_bytes(&seed);
        let key = PublicKey::from_bytes(signing.verifying_key().as_bytes()).unwrap();
        let mut signature = signing.sign(&message).to_vec();
        prop_assert_eq!(key.verify_strict(&message, &signature), Ok(()));
        let mut changed = message.clone();
        changed[at.index(message.len())] ^= 1 << bit;
        prop_assert_eq!(key.verify_strict(&changed, &signature), Err(SignatureError));
        signature[at.index(64)] ^= 1 << bit;
        prop_assert_eq!(key.verify_strict(&message, &signature), Err(SignatureError));
    }
}
