//! What one of several servers does, for as long as it is that server's duty.

use std::future::Future;
use std::pin::Pin;

use gantral_store::{Duty, OnDuty};
use tokio::sync::watch;

use crate::app::App;

/// What is done on duty, until the duty is lost. It may be dropped wherever it waits: a write that is under way is ended by the store.
pub(crate) type Work = for<'a> fn(&'a App, &'a OnDuty) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Has work done whenever a duty is this server's, until `shutdown` turns true.
pub(crate) async fn in_turn(app: &App, duty: Duty, mut shutdown: watch::Receiver<bool>, work: Work) {
    loop {
        let on_duty = tokio::select! {
            on_duty = app.0.duties.wait(&duty) => on_duty,
            _ = shutdown.wait_for(|stop| *stop) => return,
        };
        let stops = tokio::select! {
            () = work(app, &on_duty) => false,
            _ = shutdown.wait_for(|stop| *stop) => true,
        };
        on_duty.release().await;
        if stops {
            return;
        }
    }
}
