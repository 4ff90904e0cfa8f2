//! The api's client to a worker's data plane. It carries a single-use ticket and nothing of the client's request but
//! its range headers; it follows no redirect and uses no proxy, so that an answer comes from the worker that was
//! asked or not at all.

use axum::http::header::{IF_NONE_MATCH, IF_RANGE, RANGE};
use axum::http::{HeaderMap, StatusCode};
use futures_util::StreamExt;
use holdfast_domain::ticket::{DATA_PLANE_PATH, DataPlaneProblem, TICKET_HEADER, TicketAction};
use holdfast_store::{Access, Store, StoreError};
use holdfast_vault::ticket::TicketSecret;
use std::time::Duration;

/// A ticket's life: longer than the wait for the first answer, too short to be worth stealing.
const TICKET_SECS: f64 = 60.0;

/// A worker that does not accept a connection in this time is passed over for the next one.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a client waits for the first answer (architecture.md, "Processes").
const FIRST_ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// A body that gives nothing for this long has lost its worker.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// Longest refusal that is read; a longer one is not the data plane's.
const PROBLEM_MAX_BYTES: usize = 16 * 1024;

/// Why there is no answer to pass on.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// No worker is alive, or none could be reached: 503 `no_worker`.
    #[error("no worker is available; try again in a minute")]
    NoWorker,
    /// The worker took the request and gave no answer in time: 504 `worker_timed_out`.
    #[error("the worker did not answer within 30 seconds")]
    TimedOut,
    /// The worker said no: its status, code and sentence are for the client.
    #[error("{message}")]
    Answered {
        /// 4xx or 5xx.
        status: StatusCode,
        /// Stable snake_case code.
        code: String,
        /// One sentence for the client.
        message: String,
    },
    /// The ticket could not be recorded.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A client to data planes.
#[derive(Clone)]
pub struct Relay {
    client: reqwest::Client,
}

impl Relay {
    /// A client without redirects and without the environment's proxy.
    ///
    /// # Errors
    /// The TLS library could not be set up.
    pub fn new() -> Result<Self, reqwest::Error> {
        // A machine without CA certificates has no verifier of the platform; workers on plain HTTP (a network of the
        // operator's own, or loopback) are reached all the same, and every certificate is refused.
        let client = builder().build().or_else(|_| builder().tls_certs_only([]).build())?;
        Ok(Self { client })
    }

    /// Has a worker do `action` in the name of `access`; the answer is a success whose body is still to be read.
    ///
    /// # Errors
    /// See [`RelayError`].
    pub async fn open(
        &self,
        store: &Store,
        access: &Access,
        action: TicketAction,
    ) -> Result<reqwest::Response, RelayError> {
        self.open_part(store, access, action, &HeaderMap::new()).await
    }

    /// As [`Relay::open`], passing on what `client_headers` says of ranges; the answer may then be 206 or 304.
    ///
    /// # Errors
    /// See [`RelayError`].
    pub async fn open_part(
        &self,
        store: &Store,
        access: &Access,
        action: TicketAction,
        client_headers: &HeaderMap,
    ) -> Result<reqwest::Response, RelayError> {
        let tx = store.for_team(access).await?;
        let workers = tx.tickets().workers_for(&action).await?;
        tx.commit().await?;
        for worker in workers {
            let ticket = self.ticket(store, access, &action).await?;
            let mut request = self
                .client
                .post(format!("{}{DATA_PLANE_PATH}", worker.data_plane_url.trim_end_matches('/')))
                .header(TICKET_HEADER, ticket.expose());
            for name in [RANGE, IF_RANGE, IF_NONE_MATCH] {
                if let Some(value) = client_headers.get(&name) {
                    request = request.header(name, value);
                }
            }
            match tokio::time::timeout(FIRST_ANSWER_TIMEOUT, request.send()).await {
                Ok(Ok(response)) => return judge(response).await,
                // Nothing was sent: the action did not start, and the next worker may do it.
                Ok(Err(error)) if error.is_connect() || error.is_builder() => {
                    tracing::warn!(worker = worker.name, "data plane unreachable: {}", error.without_url());
                }
                Ok(Err(error)) => {
                    tracing::warn!(worker = worker.name, "data plane failed: {}", error.without_url());
                    return Err(RelayError::NoWorker);
                }
                Err(_) => return Err(RelayError::TimedOut),
            }
        }
        Err(RelayError::NoWorker)
    }

    async fn ticket(&self, store: &Store, access: &Access, action: &TicketAction) -> Result<TicketSecret, RelayError> {
        let secret = TicketSecret::generate(&mut rand::rng());
        let tx = store.for_team(access).await?;
        tx.tickets().issue(&secret.hash(), action, TICKET_SECS).await?;
        tx.commit().await?;
        Ok(secret)
    }
}

fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
}

/// Success and "not modified" pass; everything else becomes an error with the worker's own words.
async fn judge(response: reqwest::Response) -> Result<reqwest::Response, RelayError> {
    let status = response.status();
    if status.is_success() || status == StatusCode::NOT_MODIFIED {
        return Ok(response);
    }
    // 401 says that the ticket was not taken: that is between us and the worker, never about the client's token.
    if !status.is_client_error() && !status.is_server_error() || status == StatusCode::UNAUTHORIZED {
        tracing::warn!(%status, "a data plane did not take its ticket, or answered what it never should");
        return Err(RelayError::NoWorker);
    }
    let mut body = Vec::new();
    let mut chunks = response.bytes_stream();
    while let Some(Ok(chunk)) = chunks.next().await {
        if body.len() + chunk.len() > PROBLEM_MAX_BYTES {
            break;
        }
        body.extend_from_slice(&chunk);
    }
    let problem = serde_json::from_slice(&body).unwrap_or_else(|_| DataPlaneProblem {
        code: "worker_failed".to_owned(),
        message: "The worker refused without a reason; the operator's log has the details.".to_owned(),
    });
    Err(RelayError::Answered { status, code: problem.code, message: problem.message })
}
