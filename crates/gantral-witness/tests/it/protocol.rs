use gantral_evidence::log::note::{Note, Signed};
use gantral_log::witness::{REFUSED, REQUEST_BYTES_MAX};
use gantral_witness::{Listening, TlsFiles, WitnessFolder};

use crate::world::{Log, Serving, now};

/// Status, content type and body of an answer.
async fn ask(url: &str, body: String) -> (u16, String, String) {
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    let response = http.post(format!("{url}/add-checkpoint")).body(body).send().await.unwrap();
    let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
    (response.status().as_u16(), kind, response.text().await.unwrap())
}

async fn page(url: &str, path: &str) -> String {
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    http.get(format!("{url}{path}")).send().await.unwrap().text().await.unwrap()
}

fn provider() {
    // Whoever was first installed the same one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_the_status_of_the_protocol() {
    provider();
    let (dir, log) = (tempfile::tempdir().unwrap(), Log::new(20, 1, 0));
    let witness = Serving::init(dir.path(), "w.example/1").await;
    let url = witness.url.clone();

    let (status, _, line) = ask(&url, log.request(0, 12).encode()).await;
    let note = log.checkpoint(12) + &line;
    let Signed::Good { time: Some(time) } = witness.key.check(&Note::parse(note.as_bytes()).unwrap()) else {
        panic!("{line}");
    };
    assert!(status == 200 && time.abs_diff(now()) < 60, "{status} {time}");

    let text = "text/plain; charset=utf-8";
    let conflict = ask(&url, log.request(0, 20).encode()).await;
    assert_eq!(conflict, (409, "text/x.tlog.size".to_owned(), "12\n".to_owned()));
    let other = Log::new(20, 2, 0);
    let fork = ask(&url, other.request(12, 12).encode()).await;
    assert_eq!((fork.0, fork.1.as_str()), (409, text));
    assert_eq!(ask(&url, other.request(12, 20).encode()).await.0, 422);
    assert_eq!(ask(&url, log.request(12, 20).encode().replace("acme/", "emca/")).await.0, 404);
    assert_eq!(ask(&url, log.request(12, 20).encode().replace("\n20\n", "\n21\n")).await.0, 403);
    assert_eq!(ask(&url, "old 12\n".to_owned()).await.0, 400);
    assert_eq!(ask(&url, "x".repeat(REQUEST_BYTES_MAX + 1)).await.0, 400);
    // None of it has changed what it remembers, and what was refused is kept for its owner.
    assert_eq!(ask(&url, log.request(12, 20).encode()).await.0, 200);
    let refused =
        std::fs::read_dir(dir.path().join("memory").join(REFUSED)).unwrap().next().unwrap().unwrap();
    let kept: Vec<String> = std::fs::read_dir(refused.path())
        .unwrap()
        .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap())
        .collect();
    assert_eq!(kept.len(), 2, "{kept:?}");
    assert!(kept.iter().all(|text| text.contains(&log.checkpoint(12))), "{kept:?}");
    assert!(kept.iter().any(|text| text.contains(&other.checkpoint(12))), "{kept:?}");
    witness.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_see_what_the_witness_has_seen() {
    provider();
    let (dir, log) = (tempfile::tempdir().unwrap(), Log::new(7, 1, 0));
    let witness = Serving::init(dir.path(), "w.example/1").await;
    assert!(page(&witness.url, "/").await.contains("leaves 0"));
    assert_eq!(ask(&witness.url, log.request(0, 7).encode()).await.0, 200);
    let shown = page(&witness.url, "/").await;
    assert!(shown.starts_with("witness w.example/1 w.example/1+"), "{shown}");
    assert!(shown.contains("log acme/log.example\nleaves 7\n"), "{shown}");
    let status: serde_json::Value = serde_json::from_str(&page(&witness.url, "/status").await).unwrap();
    assert_eq!(status["logs"][0]["size"], 7);
    assert_eq!(status["vkey"], witness.key.to_string());
    witness.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_that_was_stopped_goes_on_from_what_it_remembers() {
    provider();
    let (dir, log) = (tempfile::tempdir().unwrap(), Log::new(9, 1, 0));
    let witness = Serving::init(dir.path(), "w.example/1").await;
    assert_eq!(ask(&witness.url, log.request(0, 5).encode()).await.0, 200);
    // The folder is free again once nothing answers any more.
    witness.stop().await;
    let witness = Serving::start(WitnessFolder::open(dir.path()).unwrap()).await;
    assert_eq!(ask(&witness.url, log.request(0, 9).encode()).await.0, 409);
    assert_eq!(ask(&witness.url, log.request(5, 9).encode()).await.0, 200);
    witness.stop().await;
}

#[tokio::test]
async fn plain_http_does_not_leave_the_machine() {
    let everywhere = "0.0.0.0:0".parse().unwrap();
    let Err(error) = Listening::bind(everywhere, None).await else { panic!("it listens") };
    assert!(error.to_string().contains("is not loopback"), "{error}");
    let missing = TlsFiles::new("/nonexistent/c".into(), "/nonexistent/k".into());
    assert!(Listening::bind(everywhere, Some(&missing)).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_the_limit_are_closed_and_others_go_on() {
    provider();
    let (dir, log) = (tempfile::tempdir().unwrap(), Log::new(3, 1, 0));
    let witness = Serving::init(dir.path(), "w.example/1").await;
    let address = witness.url.strip_prefix("http://").unwrap().to_owned();
    let mut idle = Vec::new();
    for _ in 0..257 {
        idle.push(tokio::net::TcpStream::connect(&address).await.unwrap());
    }
    // One of them has no place, whichever was looked at last: it is closed without a word, perhaps as a reset.
    let is_closed = |stream: &tokio::net::TcpStream| match stream.try_read(&mut [0; 1]) {
        Ok(read) => read == 0,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    };
    let mut closed = 0;
    for _ in 0..200 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        closed = idle.iter().filter(|stream| is_closed(stream)).count();
        if closed > 0 {
            break;
        }
    }
    assert_eq!(closed, 1);
    drop(idle);
    let request = log.request(0, 3).encode();
    for _ in 0..200 {
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        let asked = http.post(format!("{}/add-checkpoint", witness.url)).body(request.clone()).send().await;
        match asked {
            Ok(answer) => {
                assert_eq!(answer.status().as_u16(), 200);
                return witness.stop().await;
            }
            // The places are free once the witness has noticed.
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
        }
    }
    panic!("the places of closed connections are never free again");
}
