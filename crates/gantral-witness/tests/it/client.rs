use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::routing::post;
use ed25519_dalek::Signer as _;
use gantral_evidence::log::note::{Note, NoteKey, NoteKeyKind, cosignature, cosigned, signature_line};
use gantral_log::push::{CosignError, WitnessClient, WitnessConfig};
use gantral_log::witness::Request;

use crate::world::{Log, Serving, client, note_key, now, secret};

/// The key of a witness of these tests that is no [`Serving`].
fn liars_key() -> NoteKey {
    note_key(7, "liar.example", NoteKeyKind::Cosignature)
}

fn cosign(seed: u8, key: &NoteKey, checkpoint: &str, time: u64) -> String {
    let text = Note::parse(checkpoint.as_bytes()).unwrap().text;
    let signature = secret(seed).sign(cosigned(time, text).as_bytes()).to_bytes();
    signature_line(key, &cosignature(time, &signature))
}

/// Somebody who says whatever `lie` makes of a request.
async fn liar(lie: fn(Request) -> (StatusCode, String)) -> WitnessClient {
    let router = Router::new().route(
        "/add-checkpoint",
        post(move |body: String| async move { lie(Request::parse(body.as_bytes()).unwrap()) }),
    );
    serve(router).await
}

async fn serve(router: Router) -> WitnessClient {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    client(&url, liars_key())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_witnesses_cosign_and_one_that_is_behind_is_told_what_it_lacks() {
    let (dirs, log) = ([tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()], Log::new(300, 1, 0));
    let one = Serving::init(dirs[0].path(), "w.example/1").await;
    let two = Serving::init(dirs[1].path(), "w.example/2").await;
    let (mut first, mut second) = (one.client(), two.client());
    for size in [1, 7, 256, 256, 300] {
        let cosigned = first.cosign(&log.objects, &log.checkpoint(size)).await.unwrap();
        let note = log.checkpoint(size) + &cosigned.line;
        assert!(matches!(
            one.key.check(&Note::parse(note.as_bytes()).unwrap()),
            gantral_evidence::log::note::Signed::Good { time: Some(time) } if time == cosigned.time
        ));
        // The second sees some of the sizes only, and another client of the log knows nothing of the first.
        if size != 256 {
            second.cosign(&log.objects, &log.checkpoint(size)).await.unwrap();
        }
    }
    let mut forgetful = one.client();
    forgetful.cosign(&log.objects, &log.checkpoint(300)).await.unwrap();
    assert_eq!(forgetful.pause(), Duration::ZERO);
    one.stop().await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_forked_or_fell_back_learns_it_from_its_witness() {
    let dir = tempfile::tempdir().unwrap();
    let (log, fork) = (Log::new(40, 1, 0), Log::new(40, 2, 20));
    let witness = Serving::init(dir.path(), "w.example/1").await;
    witness.client().cosign(&log.objects, &log.checkpoint(30)).await.unwrap();
    let error = witness.client().cosign(&log.objects, &log.checkpoint(25)).await.unwrap_err();
    assert!(matches!(error, CosignError::Behind { seen: 30, size: 25 }), "{error}");
    for size in [30, 40] {
        let mut client = witness.client();
        let error = client.cosign(&fork.objects, &fork.checkpoint(size)).await.unwrap_err();
        assert!(matches!(error, CosignError::Contradicts(409 | 422)), "{error}");
        assert_eq!(client.pause(), Duration::from_secs(1));
    }
    witness.client().cosign(&log.objects, &log.checkpoint(40)).await.unwrap();
    witness.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lying_witness_is_not_believed() {
    let log = Log::new(5, 1, 0);
    let checkpoint = log.checkpoint(5);
    let honest = |request: Request| (StatusCode::OK, cosign(7, &liars_key(), &request.checkpoint, now()));
    // The twin: the same answer is good when it is true.
    assert!(liar(honest).await.cosign(&log.objects, &checkpoint).await.is_ok());

    let another_key = |request: Request| {
        let key = note_key(8, "liar.example", NoteKeyKind::Cosignature);
        (StatusCode::OK, cosign(8, &key, &request.checkpoint, now()))
    };
    let another_signature =
        |request: Request| (StatusCode::OK, cosign(8, &liars_key(), &request.checkpoint, now()));
    let another_checkpoint = |request: Request| {
        let other = request.checkpoint.replace("\n5\n", "\n6\n");
        (StatusCode::OK, cosign(7, &liars_key(), &other, now()))
    };
    let nothing = |_| (StatusCode::OK, String::new());
    for lie in [another_key, another_signature, another_checkpoint, nothing] {
        let error = liar(lie).await.cosign(&log.objects, &checkpoint).await.unwrap_err();
        assert!(matches!(error, CosignError::Signature), "{error}");
    }
    let old =
        |request: Request| (StatusCode::OK, cosign(7, &liars_key(), &request.checkpoint, now() - 3_600));
    let error = liar(old).await.cosign(&log.objects, &checkpoint).await.unwrap_err();
    assert!(matches!(error, CosignError::Time { .. }), "{error}");
    // A good line among others is found.
    let among_others = |request: Request| {
        let good = cosign(7, &liars_key(), &request.checkpoint, now());
        let old = cosign(7, &liars_key(), &request.checkpoint, 5);
        (StatusCode::OK, format!("{old}{good}"))
    };
    assert!(liar(among_others).await.cosign(&log.objects, &checkpoint).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_that_talks_nonsense_is_asked_no_further() {
    let log = Log::new(5, 1, 0);
    let large = |_| (StatusCode::OK, "x".repeat(1 << 20));
    let error = liar(large).await.cosign(&log.objects, &log.checkpoint(5)).await.unwrap_err();
    assert!(matches!(error, CosignError::Unreachable(_)), "{error}");
    let broken = |_| (StatusCode::INTERNAL_SERVER_ERROR, String::new());
    let mut client = liar(broken).await;
    for pause in [1, 2, 4, 8] {
        let error = client.cosign(&log.objects, &log.checkpoint(5)).await.unwrap_err();
        assert!(matches!(error, CosignError::Status(500)), "{error}");
        assert_eq!(client.pause(), Duration::from_secs(pause));
    }
    // It always claims to have seen another size.
    let size = [("content-type", "text/x.tlog.size")];
    let router = Router::new().route(
        "/add-checkpoint",
        post(move |body: String| async move {
            let old = Request::parse(body.as_bytes()).unwrap().old_size;
            (StatusCode::CONFLICT, size, format!("{}\n", (old + 1) % 5))
        }),
    );
    let error = serve(router).await.cosign(&log.objects, &log.checkpoint(5)).await.unwrap_err();
    assert!(matches!(error, CosignError::Moved), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_not_followed() {
    let log = Log::new(5, 1, 0);
    let dir = tempfile::tempdir().unwrap();
    let witness = Serving::init(dir.path(), "w.example/1").await;
    let target = format!("{}/add-checkpoint", witness.url);
    let router = Router::new().route(
        "/add-checkpoint",
        post(move || async move { (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, target)]) }),
    );
    let error = serve(router).await.cosign(&log.objects, &log.checkpoint(5)).await.unwrap_err();
    assert!(matches!(error, CosignError::Status(307)), "{error}");
    witness.stop().await;
}

#[tokio::test]
async fn a_witness_that_is_gone_is_said_to_be() {
    let log = Log::new(5, 1, 0);
    let mut client = client("http://127.0.0.1:1", liars_key());
    let error = client.cosign(&log.objects, &log.checkpoint(5)).await.unwrap_err();
    assert_eq!(error.to_string(), "the witness cannot be reached: no connection");
    let plain = WitnessConfig {
        url: "http://witness.example/".to_owned(),
        key: liars_key(),
        ca_file: None,
        timeout: Duration::from_secs(1),
    };
    assert!(WitnessClient::new(&plain).is_err());
}
