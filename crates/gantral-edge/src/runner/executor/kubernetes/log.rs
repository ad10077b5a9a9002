//! The output of a pod, taken over while it runs.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::pipe::Sender;
use tokio::sync::watch;

use super::api::Api;

/// How long the cluster may take to begin.
const BEGIN_WITHIN: Duration = Duration::from_secs(30);
/// The pause before it is asked again, when a connection broke.
const PAUSE: Duration = Duration::from_secs(1);

/// Copies what a pod writes. A connection that breaks is made again, and what was copied before is passed over; once the pod has
/// ended it is asked one last time.
pub(super) async fn copy(
    api: Arc<Api>,
    pod: String,
    mut output: Sender,
    mut finished: watch::Receiver<bool>,
) {
    let mut copied = 0;
    loop {
        let is_last = *finished.borrow_and_update();
        match once(&api, &pod, &mut output, &mut copied).await {
            Ok(()) => {}
            // The runner takes nothing more.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return,
            Err(error) => tracing::warn!(%error, pod, "the output of a pod was interrupted"),
        }
        if is_last {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            _ = finished.changed() => {}
        }
    }
}

async fn once(api: &Api, pod: &str, output: &mut Sender, copied: &mut u64) -> io::Result<()> {
    let response = tokio::time::timeout(BEGIN_WITHIN, api.log(pod)).await;
    let mut response = response.map_err(io::Error::other)?.map_err(io::Error::other)?;
    let mut skip = *copied;
    while let Some(chunk) = response.chunk().await.map_err(|_| io::Error::other("the connection broke"))? {
        let length = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        let passed = skip.min(length);
        skip -= passed;
        let fresh = usize::try_from(passed).ok().and_then(|passed| chunk.get(passed..)).unwrap_or_default();
        output.write_all(fresh).await?;
        *copied = copied.saturating_add(length - passed);
    }
    Ok(())
}
