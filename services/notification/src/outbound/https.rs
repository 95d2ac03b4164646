//! HTTP and HTTPS to addresses that were judged, and to no others.

use std::future::{Ready, ready};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tower::Service;

/// How long a connection without a call is kept.
const IDLE: Duration = Duration::from_secs(60);

/// Connects to the addresses it was made for. Redirects are not followed and no proxy is asked.
pub(super) type Client = legacy::Client<HttpsConnector<HttpConnector<Pinned>>, Full<Bytes>>;

/// Why nobody can be trusted.
#[derive(Debug, thiserror::Error)]
pub enum Untrusting {
    /// The file of authorities cannot be read.
    #[error("the file of authorities cannot be read: {0}")]
    File(#[from] rustls::pki_types::pem::Error),
    /// It holds something else.
    #[error("the file of authorities holds one that is malformed: {0}")]
    Malformed(#[from] rustls::Error),
}

/// Answers every name with the same addresses.
#[derive(Clone, Debug)]
pub(super) struct Pinned(Arc<[SocketAddr]>);

/// Whom to trust: the authorities that the system trusts, and those of a file.
///
/// Without any, calls by TLS fail one by one and say why; the service works on.
///
/// # Errors
/// When the file is there to be read and cannot be.
pub fn trust(authorities: Option<&Path>) -> Result<Arc<ClientConfig>, Untrusting> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if let Some(file) = authorities {
        for certificate in CertificateDer::pem_file_iter(file)? {
            roots.add(certificate?)?;
        }
    }
    if roots.is_empty() {
        tracing::warn!("no certificate authority is known; webhooks by https will fail");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// A client that reaches these addresses; certificates are still for the name in the URL.
pub(super) fn client(tls: &Arc<ClientConfig>, addresses: &[SocketAddr]) -> Client {
    let mut plain = HttpConnector::new_with_resolver(Pinned(addresses.into()));
    plain.enforce_http(false);
    plain.set_nodelay(true);
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(ClientConfig::clone(tls))
        .https_or_http()
        .enable_http1()
        .wrap_connector(plain);
    legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .build(connector)
}

/// Whether TLS was what failed.
pub(super) fn is_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    // What an I/O error wraps is not among its sources.
    let wrapped = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    error.is::<rustls::Error>()
        || wrapped.is_some_and(|inner| is_tls(inner))
        || error.source().is_some_and(is_tls)
}

// === impl Pinned ===

impl Service<Name> for Pinned {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Ready<Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Name) -> Self::Future {
        let addresses: Vec<SocketAddr> = self.0.iter().copied().collect();
        ready(Ok(addresses.into_iter()))
    }
}
