//! TLS of the public listener, where no proxy does it. Certificate and key are files that are read again when they change,
//! so that a renewed certificate needs no restart. A pair that cannot be read must not end what is served: the last good
//! one stays.

use anyhow::{Context, ensure};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio_rustls::TlsAcceptor;

/// Between two looks at the files.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(10);

/// What changes when a file is written or replaced; none while it is not there.
type Stamps = [Option<(SystemTime, u64)>; 2];

/// The listener's certificate and key.
pub(crate) struct Tls {
    cert_file: PathBuf,
    key_file: PathBuf,
    look_every: Duration,
    loaded: Mutex<Loaded>,
}

struct Loaded {
    acceptor: TlsAcceptor,
    stamps: Stamps,
    looked_at: Instant,
}

impl Tls {
    /// Reads both files.
    ///
    /// # Errors
    /// One cannot be read, or they do not belong together.
    pub(crate) fn load(cert_file: &Path, key_file: &Path, look_every: Duration) -> anyhow::Result<Self> {
        let (cert_file, key_file) = (cert_file.to_owned(), key_file.to_owned());
        let stamps = stamps(&cert_file, &key_file);
        let acceptor = acceptor(&cert_file, &key_file)?;
        let loaded = Mutex::new(Loaded { acceptor, stamps, looked_at: Instant::now() });
        Ok(Self { cert_file, key_file, look_every, loaded })
    }

    /// What answers a client's handshake now.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if loaded.looked_at.elapsed() >= self.look_every {
            loaded.looked_at = Instant::now();
            let now = stamps(&self.cert_file, &self.key_file);
            if now != loaded.stamps {
                loaded.stamps = now;
                match acceptor(&self.cert_file, &self.key_file) {
                    Ok(acceptor) => {
                        loaded.acceptor = acceptor;
                        tracing::info!("the certificate was read again");
                    }
                    Err(error) => tracing::error!("the last certificate goes on: {error:#}"),
                }
            }
        }
        loaded.acceptor.clone()
    }
}

fn stamps(cert_file: &Path, key_file: &Path) -> Stamps {
    let stamp = |path| {
        let about = std::fs::metadata(path).ok()?;
        Some((about.modified().ok()?, about.len()))
    };
    [stamp(cert_file), stamp(key_file)]
}

fn acceptor(cert_file: &Path, key_file: &Path) -> anyhow::Result<TlsAcceptor> {
    let about_cert = || format!("`http.tls_cert_file` ({})", cert_file.display());
    let about_key = || format!("`http.tls_key_file` ({})", key_file.display());
    let chain = CertificateDer::pem_file_iter(cert_file)
        .and_then(|certificates| certificates.collect::<Result<Vec<_>, _>>())
        .with_context(about_cert)?;
    ensure!(!chain.is_empty(), "{} holds no certificate", about_cert());
    let key = PrivateKeyDer::from_pem_file(key_file).with_context(about_key)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .with_context(|| format!("{} and {} do not belong together", about_cert(), about_key()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A new certificate for `localhost` in these files; in PEM.
    pub(crate) fn write_certificate(cert_file: &Path, key_file: &Path) -> String {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(key_file, made.signing_key.serialize_pem()).unwrap();
        std::fs::write(cert_file, made.cert.pem()).unwrap();
        made.cert.pem()
    }

    #[test]
    fn files_that_are_not_there_or_do_not_belong_together_are_told_by_their_keys() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        let tell = |cert: &Path, key: &Path| match Tls::load(cert, key, LOOK_EVERY) {
            Ok(_) => "fine".to_owned(),
            Err(error) => format!("{error:#}"),
        };
        write_certificate(&file("a.crt"), &file("a.key"));
        write_certificate(&file("b.crt"), &file("b.key"));
        assert_eq!(tell(&file("a.crt"), &file("a.key")), "fine");
        assert!(tell(&file("none"), &file("a.key")).contains("http.tls_cert_file"));
        assert!(tell(&file("a.crt"), &file("none")).contains("http.tls_key_file"));
        assert!(tell(&file("a.crt"), &file("b.key")).contains("do not belong together"));
        std::fs::write(file("empty"), "").unwrap();
        assert!(tell(&file("empty"), &file("a.key")).contains("no certificate"));
    }
}
