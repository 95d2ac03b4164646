//! Webhooks by https: only to whom a trusted authority calls by that name.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use brewline_notification::outbound::caller::{Call, CallSettings, Caller};
use brewline_notification::outbound::https;
use brewline_notification_domain::CallAnswer;
use rcgen::CertifiedKey;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use uuid::Uuid;

use crate::post::Worker;

const SETTINGS: CallSettings = CallSettings {
    allow_private: true,
    per_endpoint_max: 1,
    per_second_max: 100,
    timeout: Duration::from_secs(5),
};

/// A receiver with a certificate of its own for one name.
struct Receiver {
    address: SocketAddr,
    authority: PathBuf,
    worker: Worker,
}

// === impl Receiver ===

impl Receiver {
    async fn open(name: &str) -> Self {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        let CertifiedKey { cert, signing_key } = made;
        let folder = std::env::temp_dir();
        let authority = folder.join(format!("brewline-authority-{}.pem", Uuid::new_v4()));
        std::fs::write(&authority, cert.pem()).unwrap();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let worker = Worker::start(|_| serve(listener, acceptor));
        Self {
            address,
            authority,
            worker,
        }
    }

    /// Calls it at `host`, and closes it.
    async fn called(self, host: &str, trusted: bool) -> CallAnswer {
        let authority = trusted.then_some(self.authority.as_path());
        let caller = Caller::new(SETTINGS, https::trust(authority).unwrap());
        let call = Call {
            endpoint: Uuid::nil(),
            url: format!("https://{host}:{}/hook", self.address.port()),
            id: "id".to_owned(),
            timestamp_s: 1_614_265_330,
            body: "{}".to_owned(),
            secrets: vec!["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned()],
        };
        let answer = caller.call(&call).await;
        self.worker.kill().await;
        std::fs::remove_file(self.authority).unwrap();
        answer
    }
}

/// Answers 204 to whoever gets through the handshake.
async fn serve(listener: TcpListener, acceptor: TlsAcceptor) {
    while let Ok((stream, _)) = listener.accept().await {
        let Ok(mut stream) = acceptor.accept(stream).await else {
            continue;
        };
        let mut request = [0; 4_096];
        drop(stream.read(&mut request).await);
        let answer = b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n";
        drop(stream.write_all(answer).await);
        drop(stream.shutdown().await);
    }
}

fn refused(answer: &CallAnswer) -> bool {
    matches!(answer, CallAnswer::None(reason) if reason.starts_with("TLS with it failed"))
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_an_authority_vouches_for_is_called() {
    let answer = Receiver::open("127.0.0.1").await;
    let answer = answer.called("127.0.0.1", true).await;
    let wanted = CallAnswer::Status {
        status: 204,
        retry_after: None,
    };
    assert_eq!(answer, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_nobody_vouches_for_is_told_nothing() {
    let answer = Receiver::open("127.0.0.1").await;
    let answer = answer.called("127.0.0.1", false).await;
    assert!(refused(&answer), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_for_another_name_is_none() {
    let answer = Receiver::open("elsewhere.example").await;
    let answer = answer.called("127.0.0.1", true).await;
    assert!(refused(&answer), "{answer:?}");
}
