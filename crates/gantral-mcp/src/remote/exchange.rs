//! One request over HTTP and what comes back.

use std::time::Duration;

use reqwest::Response;
use reqwest::StatusCode;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};

use super::{LAST_EVENT_ID, SESSION_ID, Talk};
use crate::message::{Id, Kind, MESSAGE_BYTES_MAX, Message};
use crate::port::Lost;
use crate::sse::Events;

/// How long an answer without content may take.
const TAKEN_WITHIN: Duration = Duration::from_secs(30);
/// How often a stream that broke is taken up where it was, before its request is given up.
const RESUMES_MAX: u32 = 5;
/// The pause before a stream is taken up.
const RESUME_AFTER: Duration = Duration::from_secs(1);
/// The pause before we listen again.
const LISTEN_AFTER: Duration = Duration::from_secs(2);
/// Sends a request and delivers everything that comes back, an answer at least.
pub async fn request(talk: &Talk, id: &Id, message: Message, headers: HeaderMap, begins: bool) {
    let sent = post(talk, message, headers).send().await;
    let answered = match sent {
        Ok(response) => read(talk, id, response, begins).await,
        // Without a connection nothing has left.
        Err(error) if error.is_connect() => Err(Lost::NotSent(what_failed(&error))),
        Err(error) => Err(Lost::Unanswered(what_failed(&error))),
    };
    if let Err(lost) = answered {
        talk.deliver(Message::lost(id, lost)).await;
    }
}

/// Sends what wants no answer.
pub async fn send_alone(talk: &Talk, message: Message, headers: HeaderMap) -> bool {
    let request = post(talk, message, headers).timeout(TAKEN_WITHIN);
    match request.send().await {
        Ok(response) => response.status().is_success(),
        Err(error) => {
            tracing::warn!(why = what_failed(&error), "a message did not reach the server");
            false
        }
    }
}

/// Listens for what the server says by itself, for as long as it lets us.
pub async fn listen(talk: &Talk) {
    let mut last = None;
    loop {
        let Ok(response) = get(talk, last.as_ref()).send().await else { return };
        if !response.status().is_success() {
            return;
        }
        let mut stream = Stream { response, events: Events::default(), last: last.take() };
        while let Ok(Some(message)) = stream.next().await {
            talk.deliver(message).await;
        }
        last = stream.last;
        tokio::time::sleep(LISTEN_AFTER).await;
    }
}

fn post(talk: &Talk, message: Message, headers: HeaderMap) -> reqwest::RequestBuilder {
    let (client, url, _) = talk.remote.parts();
    client
        .post(url.clone())
        .headers(headers)
        .header(ACCEPT, "application/json, text/event-stream")
        .header(CONTENT_TYPE, "application/json")
        .body(message.into_bytes())
}

fn get(talk: &Talk, last: Option<&String>) -> reqwest::RequestBuilder {
    let (client, url, _) = talk.remote.parts();
    let mut headers = talk.headers(&Message::notification("listen", "{}"), None);
    if let Some(last) = last.and_then(|last| HeaderValue::from_str(last).ok()) {
        headers.insert(LAST_EVENT_ID, last);
    }
    client.get(url.clone()).headers(headers).header(ACCEPT, "text/event-stream")
}

async fn read(talk: &Talk, id: &Id, response: Response, begins: bool) -> Result<(), Lost> {
    let status = response.status();
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let (json, events) = (kind.starts_with("application/json"), kind.starts_with("text/event-stream"));
    let session = response.headers().get(SESSION_ID).cloned();
    if begins && status.is_success() {
        talk.state().session = session;
    }
    if events && status.is_success() {
        return stream(talk, id, response, begins).await.map_err(Lost::Unanswered);
    }
    let body = gantral_outbound::body(response, MESSAGE_BYTES_MAX).await;
    let body = body.map_err(|error| Lost::Unanswered(error.to_string()))?;
    let message = Message::from_server(body);
    match message.kind() {
        Kind::Response { id: found } if json => {
            let found = found.clone();
            begun(talk, &message, begins);
            // What was refused before it was read has no id.
            let message = if found.as_ref() == Some(id) { message } else { message.renamed(id) };
            talk.deliver(message).await;
            Ok(())
        }
        _ if status == StatusCode::NOT_FOUND && talk.state().session.is_some() => {
            Err(Lost::NotSent("the session has ended".to_owned()))
        }
        // It was refused as a request, and not as a call.
        _ if status.is_client_error() => {
            Err(Lost::NotSent(format!("the server answered with status {}", status.as_u16())))
        }
        _ => Err(Lost::Unanswered(format!("the server answered with status {}", status.as_u16()))),
    }
}

/// Delivers the events of a stream up to the answer; takes a stream up that broke, if it can be.
async fn stream(talk: &Talk, id: &Id, response: Response, begins: bool) -> Result<(), String> {
    let mut stream = Stream { response, events: Events::default(), last: None };
    let mut resumes = 0;
    loop {
        match stream.next().await {
            Ok(Some(message)) => {
                let answers = matches!(message.kind(), Kind::Response { id: Some(found) } if found == id);
                begun(talk, &message, begins && answers);
                talk.deliver(message).await;
                if answers {
                    return Ok(());
                }
            }
            Ok(None) | Err(_) if stream.last.is_some() && resumes < RESUMES_MAX => {
                resumes += 1;
                tokio::time::sleep(RESUME_AFTER).await;
                let response =
                    get(talk, stream.last.as_ref()).send().await.map_err(|error| what_failed(&error))?;
                if !response.status().is_success() {
                    return Err(format!(
                        "the stream broke, and the server answered with status {}",
                        response.status().as_u16()
                    ));
                }
                stream = Stream { response, events: Events::default(), last: stream.last };
            }
            Ok(None) => return Err("the stream ended before the answer".to_owned()),
            Err(why) => return Err(why),
        }
    }
}

/// Remembers the revision that was agreed upon.
fn begun(talk: &Talk, message: &Message, begins: bool) {
    if !begins {
        return;
    }
    let version = message.member("result").and_then(|result| {
        let raw = crate::message::members(result).ok()?.last("protocolVersion")?;
        HeaderValue::from_str(&serde_json::from_str::<String>(raw).ok()?).ok()
    });
    talk.state().version = version;
}

/// The messages of a stream.
struct Stream {
    response: Response,
    events: Events,
    last: Option<String>,
}

impl Stream {
    /// Returns the next message; `None` at the end of the stream.
    async fn next(&mut self) -> Result<Option<Message>, String> {
        loop {
            if let Some(event) = self.events.pop() {
                if let Some(id) = event.id {
                    self.last = Some(id);
                }
                if let Some(data) = event.data {
                    return Ok(Some(Message::from_server(data.into_bytes())));
                }
                continue;
            }
            let chunk = self.response.chunk().await.map_err(|error| what_failed(&error))?;
            let Some(chunk) = chunk else { return Ok(None) };
            self.events.add(&chunk).map_err(|error| error.to_string())?;
        }
    }
}

/// Says what failed without the address, which may hold more than a name.
fn what_failed(error: &reqwest::Error) -> String {
    let what = if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    };
    what.to_owned()
}
