//! Being told to stop.

use tokio::signal::unix::{SignalKind, signal};

/// Returns when the process is asked to end, by Ctrl-C or by SIGTERM.
pub async fn stop_requested() {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        // Without handlers the default action of both signals still ends the process.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
