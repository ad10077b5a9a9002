//! A client that started us: messages are lines on our standard input and output. Source: MCP, Transports, stdio.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::governor::Governor;
use crate::lines::LineError;
use crate::link::{Link, QUEUE_MAX};
use crate::message::{Kind, MESSAGE_BYTES_MAX, Message, NotAMessage};
use crate::session::{Outgoing, Session};

/// How long calls that a server has may take to end after the client has gone. Clients wait two seconds before they kill.
const DRAIN: Duration = Duration::from_millis(1500);
/// JSON-RPC: not JSON.
const PARSE_ERROR: i64 = -32700;
/// JSON-RPC: not a message.
const INVALID_REQUEST: i64 = -32600;

/// Serves one client until it closes its side, the server ends, or `stop` ends. Input and output have a thread each, which a system that
/// blocks cannot keep from anything else.
///
/// # Errors
/// The system's.
pub async fn serve(
    governor: Arc<Governor>,
    link: Link,
    input: impl Read + Send + 'static,
    output: impl Write + Send + 'static,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let (to_client, for_client) = mpsc::channel(QUEUE_MAX);
    let (lines, mut from_client) = mpsc::channel(QUEUE_MAX);
    std::thread::Builder::new().name("input".to_owned()).spawn(move || read(input, &lines))?;
    let writer =
        std::thread::Builder::new().name("output".to_owned()).spawn(move || write(output, for_client))?;
    let Link { to_server, mut from_server } = link;
    let session = Session::new(governor.clone(), to_server, to_client.clone()).map_err(io::Error::other)?;
    let server = session.clone();
    let mut reader = tokio::spawn(async move {
        while let Some(message) = from_server.recv().await {
            server.from_server(message).await;
        }
    });
    tokio::select! {
        () = take(&session, &to_client, &mut from_client) => governor.quiet(DRAIN).await,
        _ = &mut reader => {}
        () = stop => {}
    }
    session.end();
    drop((session, to_client));
    // What was answered last is still written, if the client reads; the reader ends with the server.
    if !reader.is_finished() {
        let _ = tokio::time::timeout(DRAIN, reader).await;
    }
    let written = tokio::task::spawn_blocking(move || writer.join());
    let _ = tokio::time::timeout(DRAIN, written).await;
    Ok(())
}

async fn take(session: &Session, to_client: &mpsc::Sender<Outgoing>, lines: &mut mpsc::Receiver<Vec<u8>>) {
    while let Some(line) = lines.recv().await {
        match Message::from_client(line) {
            Ok(message) => {
                if !session.from_client(message).await {
                    return;
                }
            }
            Err((error, line)) => {
                let message = refusal(&error, line);
                let _ = to_client.send(Outgoing { about: None, message, left: None }).await;
            }
        }
    }
}

/// Reads lines until there are no more, or nobody takes them.
fn read(input: impl Read, lines: &mpsc::Sender<Vec<u8>>) {
    let mut input = BufReader::new(input);
    loop {
        match next(&mut input) {
            Ok(Some(line)) => {
                if !line.is_empty() && lines.blocking_send(line).is_err() {
                    return;
                }
            }
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%error, "the client is not read any further");
                return;
            }
        }
    }
}

/// Reads a line without its end; `None` when there is no more.
fn next(input: &mut impl BufRead) -> Result<Option<Vec<u8>>, LineError> {
    let limit = u64::try_from(MESSAGE_BYTES_MAX).unwrap_or(u64::MAX);
    let mut line = Vec::new();
    if input.take(limit).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.len() >= MESSAGE_BYTES_MAX {
        return Err(LineError::TooLong);
    }
    while matches!(line.last(), Some(b'\n' | b'\r')) {
        line.pop();
    }
    Ok(Some(line))
}

fn write(mut output: impl Write, mut messages: mpsc::Receiver<Outgoing>) {
    while let Some(Outgoing { message, left, .. }) = messages.blocking_recv() {
        if output.write_all(&message.into_line()).and_then(|()| output.flush()).is_err() {
            return;
        }
        if let Some(left) = left {
            let _ = left.send(());
        }
    }
}

/// Answers what is not passed on; under its id, if it has one.
pub(crate) fn refusal(error: &NotAMessage, bytes: Vec<u8>) -> Message {
    let message = Message::from_server(bytes);
    let id = if let Kind::Request { id, .. } = message.kind() { Some(id) } else { None };
    let code = if *error == NotAMessage::NotJson { PARSE_ERROR } else { INVALID_REQUEST };
    Message::error(id, code, &format!("not passed on: {error}"))
}
