//! The listener: bounded connections, bounded waiting, nothing left running after it returns.

use super::router;
use crate::context::WorkerContext;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections at once. One more waits in the kernel's queue; a download holds one for as long as it lasts.
const MAX_CONNECTIONS: usize = 256;

/// A client that has not sent its request head by then is not the api.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// After a failed accept (no descriptors left): time for some to close.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `soft` is cancelled, lets what is in hand end, and returns at the latest when `hard` is cancelled.
pub async fn serve(
    context: Arc<WorkerContext>,
    listener: TcpListener,
    soft: CancellationToken,
    hard: CancellationToken,
) {
    let app = router(context);
    let connections = TaskTracker::new();
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { break };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = soft.cancelled() => break,
        };
        let (stream, app, soft, hard) = match accepted {
            Ok((stream, _)) => (stream, app.clone(), soft.clone(), hard.clone()),
            Err(error) => {
                tracing::warn!("data plane: cannot accept a connection: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        connections.spawn(async move {
            tokio::select! {
                () = connection(stream, app, &soft) => {}
                () = hard.cancelled() => {}
            }
            drop(place);
        });
    }
    connections.close();
    connections.wait().await;
}

/// One connection. Hyper drops the request's future when the client goes away, and with it whatever it was doing.
async fn connection(stream: TcpStream, app: axum::Router, soft: &CancellationToken) {
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(app));
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = soft.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!("data plane: a connection ended: {error}");
    }
}
