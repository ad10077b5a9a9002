//! The lightest client that measures honestly: one connection, one request under way, bodies read whole.

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A kept-alive connection of one caller.
pub struct Connection {
    stream: TcpStream,
    token: String,
    prefix: String,
    sent: u64,
    buffer: Vec<u8>,
}

/// One answer.
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Answer {
    /// Says whether a text stands in the body. Whoever only makes load need not parse more of it.
    pub fn contains(&self, text: &[u8]) -> bool {
        find(&self.body, text).is_some()
    }

    /// Returns the body of an answer that says yes.
    pub fn json(&self) -> Result<Value> {
        if !(200..300).contains(&self.status) {
            bail!("status {}: {}", self.status, String::from_utf8_lossy(&self.body));
        }
        Ok(serde_json::from_slice(&self.body)?)
    }
}

impl Connection {
    /// Connects as the bearer of a token. `prefix` starts the connection's idempotency keys.
    pub async fn open(address: SocketAddr, token: &str, prefix: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            token: token.to_owned(),
            prefix: prefix.to_owned(),
            sent: 0,
            buffer: Vec::with_capacity(16 << 10),
        })
    }

    /// Acts under another token from now on.
    pub fn act_as(&mut self, token: &str) {
        token.clone_into(&mut self.token);
    }

    /// Returns the token that is used.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Sends one request and reads its answer.
    pub async fn send(&mut self, method: &str, path: &str, kind: &str, body: &[u8]) -> Result<Answer> {
        self.sent += 1;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {}\r\nidempotency-key: {}-{}\r\n\
             content-type: {kind}\r\ncontent-length: {}\r\n\r\n",
            self.token,
            self.prefix,
            self.sent,
            body.len()
        );
        let mut request = head.into_bytes();
        request.extend_from_slice(body);
        self.stream.write_all(&request).await?;
        self.read().await
    }

    /// Sends a JSON body with POST.
    pub async fn post(&mut self, path: &str, body: &str) -> Result<Answer> {
        self.send("POST", path, "application/json", body.as_bytes()).await
    }

    /// Reads something.
    pub async fn get(&mut self, path: &str) -> Result<Answer> {
        self.send("GET", path, "application/json", b"").await
    }

    async fn read(&mut self) -> Result<Answer> {
        self.buffer.clear();
        let end = loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                break end + 4;
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the server closed the connection");
            }
        };
        let head = std::str::from_utf8(self.buffer.get(..end).context("a head")?)?.to_ascii_lowercase();
        let status = head.split(' ').nth(1).context("a status")?.parse()?;
        let length: usize = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(Ok(0), |length| length.trim().parse())?;
        while self.buffer.len() < end + length {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the server closed the connection");
            }
        }
        let body = self.buffer.get(end..end + length).context("a body")?.to_vec();
        Ok(Answer { status, body })
    }
}

fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}
