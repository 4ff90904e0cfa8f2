//! Where `ssh` has its log-ins signed: a socket in the private folder, behind which the keys are in our memory.

use holdfast_domain::{Failure, FailureCode, Step};
use russh::keys::agent::{client::AgentClient, server};
use russh::keys::{PrivateKey, decode_secret_key};
use secrecy::{ExposeSecret as _, SecretString};
use std::path::Path;
use tokio::net::{UnixListener, UnixStream};
use tokio_util::task::AbortOnDropHandle;

/// The running agent; it ends when this is dropped.
pub(super) struct Agent {
    _task: AbortOnDropHandle<()>,
}

impl Agent {
    /// Listens at `socket` with `keys`.
    pub(super) async fn start(socket: &Path, keys: &[PrivateKey]) -> Result<Self, Failure> {
        let failed =
            |_| Failure::new(Step::Prepare, FailureCode::Internal, "the agent for `ssh` could not be started.");
        let listener = UnixListener::bind(socket).map_err(|_| failed(()))?;
        // The first client is ourselves, who bring the keys.
        let (ours, theirs) = UnixStream::pair().map_err(|_| failed(()))?;
        let clients = futures_util::stream::unfold((Some(theirs), listener), async |(first, listener)| {
            let client = match first {
                Some(first) => Ok(first),
                None => listener.accept().await.map(|(client, _)| client),
            };
            Some((client, (None, listener)))
        });
        let task = AbortOnDropHandle::new(tokio::spawn(async move {
            let _ = server::serve(Box::pin(clients), ()).await;
        }));
        let mut client = AgentClient::connect(ours);
        for key in keys {
            client.add_identity(key, &[]).await.map_err(|_| failed(()))?;
        }
        Ok(Self { _task: task })
    }
}

/// Reads a private key.
pub(super) fn private_key(pem: &SecretString) -> Result<PrivateKey, Failure> {
    decode_secret_key(pem.expose_secret(), None).map_err(|_| {
        Failure::new(Step::Authenticate, FailureCode::SecretUnavailable, "the private key cannot be read.")
    })
}
