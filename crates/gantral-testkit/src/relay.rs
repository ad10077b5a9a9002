//! A network between a server and its database: it takes its time, breaks, and falls silent.
#![expect(clippy::unwrap_used, reason = "what goes wrong with the network fails the test that needs it")]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// How much is under way in one direction of one connection, in pieces.
const UNDER_WAY: usize = 1_024;
const PIECE: usize = 16 * 1_024;

/// Carries connections over TCP to a socket of this machine. Gone with all of them when dropped.
pub struct Relay {
    address: SocketAddr,
    state: watch::Sender<State>,
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
}

/// What becomes of what is carried.
#[derive(Debug, Clone, Copy)]
struct State {
    /// How long each byte is under way.
    delay: Duration,
    /// Nothing arrives, in neither direction, and nobody is told so.
    silent: bool,
    /// How often all connections were broken.
    cut: u64,
}

impl Relay {
    /// Begins to carry connections to a socket, each byte of which is under way for so long. Within a runtime or without one.
    ///
    /// # Panics
    /// When there is no port, or no thread.
    pub fn to(socket: PathBuf, delay: Duration) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let (state, seen) = watch::channel(State { delay, silent: false, cut: 0 });
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            loop {
                let (near, _) = listener.accept().await.unwrap();
                let (socket, seen) = (socket.clone(), seen.clone());
                tokio::spawn(carry(near, socket, seen));
            }
        });
        Self { address, state, runtime: Some(runtime) }
    }

    /// Returns where to connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Breaks all connections.
    pub fn cut(&self) {
        self.state.send_modify(|state| state.cut += 1);
    }

    /// Begins or ends the silence. What was sent in it arrives afterwards.
    pub fn silent(&self, silent: bool) {
        self.state.send_modify(|state| state.silent = silent);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // Waits for nothing: a test may be inside a runtime of its own.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Carries one connection, until either side ends it or it is cut.
async fn carry(near: TcpStream, socket: PathBuf, mut seen: watch::Receiver<State>) {
    near.set_nodelay(true).unwrap();
    let Ok(far) = UnixStream::connect(socket).await else { return };
    let cut = seen.borrow().cut;
    let ((from_near, to_near), (from_far, to_far)) = (near.into_split(), far.into_split());
    tokio::select! {
        () = one_way(from_near, to_far, seen.clone()) => {}
        () = one_way(from_far, to_near, seen.clone()) => {}
        _ = seen.wait_for(|state| state.cut != cut) => {}
    }
}

/// Carries bytes in one direction.
async fn one_way(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut seen: watch::Receiver<State>,
) {
    let (sender, mut receiver) = mpsc::channel::<(Instant, Vec<u8>)>(UNDER_WAY);
    let delay = seen.borrow().delay;
    let reads = async move {
        let mut piece = vec![0; PIECE];
        while let Ok(read @ 1..) = from.read(&mut piece).await {
            if sender
                .send((Instant::now() + delay, piece.get(..read).unwrap_or_default().to_vec()))
                .await
                .is_err()
            {
                return;
            }
        }
    };
    let writes = async {
        while let Some((due, piece)) = receiver.recv().await {
            tokio::time::sleep_until(due).await;
            if seen.wait_for(|state| !state.silent).await.is_err() || to.write_all(&piece).await.is_err() {
                return;
            }
        }
    };
    // What was read before the end still arrives.
    tokio::join!(reads, writes);
}
