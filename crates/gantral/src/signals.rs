//! Being told to stop.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Returns when the process is asked to end, by Ctrl-C or by SIGTERM.
pub async fn stop_requested() {
    stop_signals().await;
}

/// Catches the signals from now on, within a runtime, and returns what ends when one has come.
pub fn stop_signals() -> impl Future<Output = ()> + Send + 'static {
    let signals = signal(SignalKind::interrupt()).and_then(|a| Ok((a, signal(SignalKind::terminate())?)));
    async move {
        let Ok((mut interrupt, mut terminate)) = signals else {
            // Without handlers the default action of both signals still ends the process.
            return std::future::pending().await;
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}

/// Catches the signals from now on, within a runtime, and returns what ends when one has come, and what ends when a second one has.
pub fn stop_signals_twice() -> (impl Future<Output = ()> + Send, impl Future<Output = ()> + Send) {
    let (count, counted) = watch::channel(0_u32);
    let first = stop_signals();
    tokio::spawn(async move {
        first.await;
        let second = stop_signals();
        count.send_replace(1);
        second.await;
        count.send_replace(2);
        // Whoever waits has been told as much as there is to tell.
        core::future::pending::<()>().await;
    });
    let after = |mut counted: watch::Receiver<u32>, times| async move {
        if counted.wait_for(|count| *count >= times).await.is_err() {
            // The runtime ends, and everything with it.
            core::future::pending::<()>().await;
        }
    };
    (after(counted.clone(), 1), after(counted, 2))
}
