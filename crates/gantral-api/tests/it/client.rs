//! The client against a real HTTP server that notes what it is sent and answers what the case wants.

mod calls;
mod server;

use std::time::Duration;

use axum::http::StatusCode;
use gantral_api::client::{
    Client, ClientConfig, ClientError, ConfigError, FetchToken, TokenFuture, TokenSource,
};
use gantral_api::problem::{Code, Problem};
use gantral_api::wire::{Empty, IdempotencyKey, ShowInstance, text};

use server::{Reply, Server, moved};

const UUID: &str = "7f3c2c9a-53b1-4a7e-9c06-1d2f3a4b5c6d";

fn id() -> text::InstanceId {
    UUID.parse().expect("an identifier")
}

fn client(server: &Server) -> Client {
    let token = TokenSource::Fixed("secret-token".to_owned());
    Client::new(ClientConfig { tries: 3, ..ClientConfig::new(server.url(), token) }).expect("a client")
}

fn refusal(code: Code) -> Reply {
    Reply::problem(&Problem::new(code, "so it is"))
}

#[tokio::test]
async fn a_write_that_may_be_repeated_is_repeated_under_one_key() {
    let server = Server::start(vec![refusal(Code::LedgerUnavailable), Reply::Hangup, moved()]).await;
    let answer = client(&server).withdraw(id()).await.expect("an answer");
    assert_eq!(answer.state.to_string(), "TERMINATED");
    let seen = server.seen();
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|request| request.key.is_some() && request.key == seen[0].key));
    assert!(seen.iter().all(|request| request.body == serde_json::to_string(&Empty {}).expect("json")));
}

#[tokio::test]
async fn two_writes_have_two_keys_unless_the_caller_chose_one() {
    let server = Server::start(vec![moved(), moved(), moved(), moved()]).await;
    let client = client(&server);
    for _ in 0..2 {
        client.withdraw(id()).await.expect("an answer");
    }
    let chosen = client.with_key(IdempotencyKey::parse("mine").expect("a key"));
    for _ in 0..2 {
        chosen.withdraw(id()).await.expect("an answer");
    }
    let keys: Vec<_> = server.seen().into_iter().filter_map(|request| request.key).collect();
    assert_ne!(keys[0], keys[1]);
    assert_eq!(keys[2..], ["mine", "mine"]);
}

#[tokio::test]
async fn call_is_part_of_the_trace_that_its_caller_says_and_a_bad_one_costs_nothing() {
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let server = Server::start(vec![moved(), refusal(Code::LedgerUnavailable), moved(), moved()]).await;
    let plain = client(&server);
    plain.withdraw(id()).await.expect("an answer");
    plain.with_traceparent(trace).withdraw(id()).await.expect("an answer");
    plain.with_traceparent("no\nheader").withdraw(id()).await.expect("an answer");
    let seen: Vec<_> = server.seen().into_iter().map(|request| request.traceparent).collect();
    // A call that is repeated stays where it was.
    assert_eq!(seen, [None, Some(trace.to_owned()), Some(trace.to_owned()), None]);
}

#[tokio::test]
async fn a_refusal_is_not_repeated() {
    for code in
        [Code::GateMoved, Code::EvaluatorFailed, Code::NobodyEligible, Code::Internal, Code::TooManyRequests]
    {
        let server = Server::start(vec![refusal(code), moved()]).await;
        let error = client(&server).withdraw(id()).await.expect_err("a refusal");
        assert_eq!(error.code(), Some(code));
        assert_eq!(error.problem().map(Problem::detail), Some("so it is"));
        assert_eq!(server.seen().len(), 1, "{code}");
    }
}

#[tokio::test]
async fn retries_end() {
    let server = Server::start(vec![refusal(Code::NotReady); 5]).await;
    let error = client(&server).withdraw(id()).await.expect_err("a refusal");
    assert_eq!(error.code(), Some(Code::NotReady));
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn a_pause_longer_than_the_client_waits_is_left_to_the_caller() {
    let problem = Problem::new(Code::NotReady, "later");
    let server = Server::start(vec![Reply::problem(&problem).with("retry-after", "3600"), moved()]).await;
    assert!(client(&server).withdraw(id()).await.is_err());
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable() {
    let server = Server::start(Vec::new()).await;
    let config = ClientConfig { tries: 2, ..ClientConfig::new(server.url(), TokenSource::None) };
    server.stop().await;
    let error = Client::new(config).expect("a client").me().await.expect_err("nobody there");
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_given_up_in_time() {
    let server = Server::start(vec![Reply::Never, Reply::Never]).await;
    let limits = ClientConfig {
        timeout: Duration::from_millis(80),
        tries: 2,
        ..ClientConfig::new(server.url(), TokenSource::None)
    };
    let client = Client::new(limits).expect("a client");
    assert_eq!(client.me().await, Err(ClientError::Timeout { within_ms: 80 }));
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_long_poll_outlives_the_timeout_of_other_calls() {
    let server = Server::start(vec![Reply::Late(Duration::from_millis(300), Box::new(moved()))]).await;
    let limits = ClientConfig {
        timeout: Duration::from_millis(80),
        tries: 1,
        ..ClientConfig::new(server.url(), TokenSource::None)
    };
    let query = ShowInstance { wait: "1s".parse().ok(), after: Some(7) };
    let error = Client::new(limits).expect("a client").instance(id(), &query).await.expect_err("not a view");
    assert!(matches!(error, ClientError::UnexpectedAnswer { status: 200, .. }), "{error}");
    assert_eq!(server.seen()[0].target, format!("/v1/instances/{UUID}?wait=1s&after=7"));
}

/// A source that has one more token than it was told to let go of.
#[derive(Default)]
struct Numbered(std::sync::Mutex<Vec<String>>);

impl FetchToken for Numbered {
    fn token(&self) -> TokenFuture<'_> {
        let number = self.0.lock().expect("a lock").len();
        Box::pin(async move { Ok(format!("token-{number}")) })
    }

    fn refused(&self, token: &str) -> bool {
        let mut refused = self.0.lock().expect("a lock");
        refused.push(token.to_owned());
        refused.len() < 2
    }
}

#[tokio::test]
async fn a_source_whose_token_is_not_believed_is_asked_for_another_as_often_as_it_says() {
    let not_believed = || refusal(Code::TokenRejected);
    let source = std::sync::Arc::new(Numbered::default());
    let server = Server::start(vec![not_believed(), moved(), not_believed(), moved()]).await;
    let client = client(&server).with_token(TokenSource::Fetched(source.clone()));
    client.withdraw(id()).await.expect("an answer");
    let error = client.withdraw(id()).await.expect_err("a refusal");
    assert_eq!(error.code(), Some(Code::TokenRejected));
    let tokens: Vec<_> = server.seen().into_iter().filter_map(|request| request.token).collect();
    assert_eq!(tokens, ["Bearer token-0", "Bearer token-1", "Bearer token-1"]);
    assert_eq!(*source.0.lock().expect("a lock"), ["token-0", "token-1"]);
}

#[tokio::test]
async fn a_renewed_token_file_is_read_for_every_try() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    std::fs::write(&file, "first\n").expect("a file");
    let renewed = file.clone();
    let renew = Reply::After(Box::new(move || std::fs::write(&renewed, "second\n").expect("a file")));
    let server = Server::start(vec![renew, moved()]).await;
    client(&server).with_token(TokenSource::File(file)).withdraw(id()).await.expect("an answer");
    let tokens: Vec<_> = server.seen().into_iter().filter_map(|request| request.token).collect();
    assert_eq!(tokens, ["Bearer first", "Bearer second"]);
}

#[tokio::test]
async fn a_redirect_takes_no_token_elsewhere() {
    let other = Server::start(vec![moved()]).await;
    let away = Reply::status(StatusCode::TEMPORARY_REDIRECT).with("location", &other.url());
    let server = Server::start(vec![away]).await;
    let error = client(&server).withdraw(id()).await.expect_err("a redirect");
    assert!(matches!(error, ClientError::UnexpectedAnswer { status: 307, .. }), "{error}");
    assert!(other.seen().is_empty());
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let server = Server::start(vec![Reply::Endless]).await;
    let error = client(&server).me().await.expect_err("too much");
    assert!(matches!(error, ClientError::AnswerTooLarge { .. }), "{error}");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_name_with_a_slash_stays_one_segment() {
    let server = Server::start(vec![refusal(Code::WorkflowUnknown)]).await;
    let name: text::WorkflowId = "billing/refund".parse().expect("a name");
    assert!(client(&server).workflow(&name).await.is_err());
    assert_eq!(server.seen()[0].target, "/v1/workflows/billing%2Frefund");
}

#[test]
fn tokens_travel_in_the_clear_on_this_machine_only() {
    let build = |url: &str| Client::new(ClientConfig::new(url, TokenSource::None)).map(|_| ());
    for url in ["http://127.0.0.1:7000", "http://[::1]:7000/gantral", "http://localhost", "http://127.8.9.1"]
    {
        assert_eq!(build(url), Ok(()), "{url}");
    }
    for url in ["http://example.org", "http://10.0.0.1", "http://127.0.0.1.example.org", "http://[::2]"] {
        assert!(matches!(build(url), Err(ConfigError::PlainHttp { .. })), "{url}");
    }
    for url in ["ftp://localhost", "localhost:7000", "/v1", "http://"] {
        assert!(matches!(build(url), Err(ConfigError::Url { .. })), "{url}");
    }
    let error = build("https://me:hunter2@example.org").expect_err("a password");
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

#[test]
fn a_file_without_certificates_is_no_authority() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, "nothing").expect("a file");
    let config =
        ClientConfig { ca_file: Some(file), ..ClientConfig::new("https://example.org", TokenSource::None) };
    assert!(matches!(Client::new(config), Err(ConfigError::CaFile { .. })));
}

#[test]
fn no_token_is_shown() {
    let config = ClientConfig::new("http://localhost", TokenSource::Fixed("hunter2".to_owned()));
    let shown = format!("{config:?} {:?}", Client::new(config.clone()).expect("a client"));
    assert!(!shown.contains("hunter2"), "{shown}");
}
