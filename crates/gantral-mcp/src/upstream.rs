//! The server behind us, and a way of our own to it for calls whose client has gone.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::catalogue::Catalogue;
use crate::declared::ServerTasks;
use crate::governor::{Governor, Opens};
use crate::link::{Link, QUEUE_MAX};
use crate::message::{Id, Kind, Message};
use crate::port::{Lost, Port, Work};
use crate::process::{Running, ServerCommand};
use crate::remote::Remote;
use crate::session::{Outgoing, Session};
use crate::several::{self, Begins, Prefix};

/// How long a server that was started for one call may take to be ready.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// The revision that we speak when nobody else says one.
const REVISION: &str = "2025-11-25";
/// JSON-RPC: there is no such method.
const METHOD_NOT_FOUND: i64 = -32601;

/// The server behind us.
#[derive(Debug, Clone)]
pub enum Upstream {
    /// A process.
    Process(ServerCommand),
    /// A server over HTTP.
    Remote(Remote),
    /// Several, each under a prefix.
    Several(Vec<(Prefix, Upstream)>),
}

impl Upstream {
    /// Begins a conversation with it.
    ///
    /// # Errors
    /// The system's, if its process cannot be started.
    pub fn link(&self) -> std::io::Result<(Link, Vec<Running>)> {
        match self {
            Self::Process(command) => command.start().map(|(link, running)| (link, vec![running])),
            Self::Remote(remote) => Ok((remote.start(), Vec::new())),
            Self::Several(servers) => {
                let (mut links, mut all) = (Vec::with_capacity(servers.len()), Vec::new());
                for (prefix, server) in servers {
                    let (link, running) = server.link()?;
                    let again = server.clone();
                    let begins: Begins = Arc::new(move || {
                        // Nobody waits for its end: its guardian brings it about when the link goes.
                        again.link().map(|(link, _)| link)
                    });
                    links.push((prefix.clone(), link, begins));
                    all.extend(running);
                }
                Ok((several::join(links), all))
            }
        }
    }
}

impl Opens for Upstream {
    fn open(&self, governor: Arc<Governor>, stateless: bool) -> Work<'_, Result<Arc<dyn Port>, Lost>> {
        Box::pin(async move {
            let own = Own::begin(self, governor).map_err(|error| Lost::NotSent(error.to_string()))?;
            if !stateless {
                own.shake_hands().await?;
            }
            Ok(Arc::new(own) as Arc<dyn Port>)
        })
    }
}

/// A conversation of ours; the server is let go with it.
struct Own {
    session: Session,
    port: Arc<dyn Port>,
}

impl Own {
    fn begin(upstream: &Upstream, governor: Arc<Governor>) -> std::io::Result<Self> {
        let (Link { to_server, mut from_server }, running) = upstream.link()?;
        let (to_client, mut for_client) = mpsc::channel::<Outgoing>(QUEUE_MAX);
        let session = Session::new(governor, to_server, to_client).map_err(std::io::Error::other)?;
        let reader = session.clone();
        tokio::spawn(async move {
            while let Some(message) = from_server.recv().await {
                reader.from_server(message).await;
            }
            reader.end();
            crate::process::all_ended(running).await;
        });
        let refuses = session.clone();
        tokio::spawn(async move {
            // There is no client that the server could ask.
            while let Some(Outgoing { message, .. }) = for_client.recv().await {
                if let Kind::Request { id, .. } = message.kind() {
                    refuses
                        .from_client(Message::error(Some(id), METHOD_NOT_FOUND, "the client has gone"))
                        .await;
                }
            }
        });
        let port = session.port();
        Ok(Self { session, port })
    }

    async fn shake_hands(&self) -> Result<(), Lost> {
        let version = env!("CARGO_PKG_VERSION");
        let params = format!(
            r#"{{"protocolVersion":"{REVISION}","capabilities":{{}},"clientInfo":{{"name":"gantral","version":"{version}"}}}}"#
        );
        let answer = tokio::time::timeout(READY_WITHIN, self.port.forward("initialize", params, None)).await;
        let answer = answer.map_err(|_| Lost::NotSent("it is not ready in time".to_owned()))?;
        // Whether it was ready or not, it has not seen the call.
        let answer = answer.map_err(|lost| Lost::NotSent(lost.to_string()))?;
        if answer.member("result").is_none() {
            return Err(Lost::NotSent("it does not speak a revision with a handshake".to_owned()));
        }
        self.session.from_client(Message::notification("notifications/initialized", "{}")).await;
        Ok(())
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.session.end();
    }
}

impl Port for Own {
    fn forward(
        &self,
        method: &'static str,
        params: String,
        _: Option<Id>,
    ) -> Work<'_, Result<Message, Lost>> {
        self.port.forward(method, params, None)
    }

    fn tell(&self, _: &Id, _: Message) -> Work<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    fn catalogue(&self) -> &Catalogue {
        self.port.catalogue()
    }

    fn tasks(&self) -> ServerTasks {
        self.port.tasks()
    }
}
