//! A database behind TLS, played by a front that ends it and passes everything on to the real one.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use brewline_postgres::{Config, Error, Listener, Pool, Wake};
use brewline_test_support::{TestDatabase, postgres_url};
use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{Ssl, SslAcceptor, SslMethod};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509NameBuilder};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_openssl::SslStream;
use uuid::Uuid;

const LIMIT: Duration = Duration::from_secs(10);
/// Length and code of the message by which a client asks for TLS.
const TLS_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// The front.
struct Front {
    port: u16,
    roots: PathBuf,
    /// Sessions that came over TLS.
    protected: Arc<AtomicUsize>,
}

// === impl Front ===

impl Front {
    /// One whose certificate is for this name; without one it refuses TLS.
    async fn start(name: Option<&str>) -> Self {
        let (certificate, key) = certificate(name.unwrap_or("nobody"));
        let roots = std::env::temp_dir().join(format!("brewline-roots-{}.pem", Uuid::new_v4()));
        std::fs::write(&roots, certificate.to_pem().unwrap()).unwrap();
        let acceptor = name.map(|_| {
            let mut builder =
                SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
            builder.set_certificate(&certificate).unwrap();
            builder.set_private_key(&key).unwrap();
            builder.build()
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let protected = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&protected);
        #[allow(clippy::disallowed_methods, reason = "a test has no task tracker")]
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (acceptor, counted) = (acceptor.clone(), Arc::clone(&counted));
                tokio::spawn(async move { drop(serve(client, acceptor, &counted).await) });
            }
        });
        Self {
            port,
            roots,
            protected,
        }
    }

    /// The test's database by way of the front, called by this name.
    fn config(&self, database: &TestDatabase, host: &str, parameters: &str) -> Config {
        let (who, _) = database.url().rsplit_once('@').unwrap();
        let (port, name) = (self.port, database.name());
        let url = format!("{who}@{host}:{port}/{name}?{parameters}");
        Config::from_url(&url, 2).unwrap()
    }

    fn trusting(&self) -> String {
        format!("sslmode=require&sslrootcert={}", self.roots.display())
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        std::fs::remove_file(&self.roots).ok();
    }
}

async fn serve(
    mut client: TcpStream,
    acceptor: Option<SslAcceptor>,
    protected: &AtomicUsize,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut request = [0; 8];
    client.read_exact(&mut request).await?;
    assert_eq!(request, TLS_REQUEST);
    let Some(acceptor) = acceptor else {
        client.write_all(b"N").await?;
        return Ok(());
    };
    client.write_all(b"S").await?;
    let mut client = SslStream::new(Ssl::new(acceptor.context())?, client)?;
    std::pin::Pin::new(&mut client).accept().await?;
    protected.fetch_add(1, Ordering::Relaxed);
    let real: tokio_postgres::Config = postgres_url().parse()?;
    let (tokio_postgres::config::Host::Tcp(host), Some(port)) =
        (&real.get_hosts()[0], real.get_ports().first())
    else {
        panic!("the tests' server is reached over TCP");
    };
    let mut server = TcpStream::connect((host.as_str(), *port)).await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

/// A certificate that vouches for itself.
fn certificate(name: &str) -> (X509, PKey<Private>) {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
    let mut subject = X509NameBuilder::new().unwrap();
    subject.append_entry_by_text("CN", "a database").unwrap();
    let subject = subject.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    let serial = BigNum::from_u32(1).unwrap().to_asn1_integer().unwrap();
    builder.set_serial_number(&serial).unwrap();
    builder.set_subject_name(&subject).unwrap();
    builder.set_issuer_name(&subject).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder
        .set_not_before(&Asn1Time::days_from_now(0).unwrap())
        .unwrap();
    builder
        .set_not_after(&Asn1Time::days_from_now(2).unwrap())
        .unwrap();
    let root = BasicConstraints::new().critical().ca().build().unwrap();
    builder.append_extension(root).unwrap();
    let names = SubjectAlternativeName::new()
        .dns(name)
        .build(&builder.x509v3_context(None, None))
        .unwrap();
    builder.append_extension(names).unwrap();
    builder.sign(&key, MessageDigest::sha256()).unwrap();
    (builder.build(), key)
}

async fn refused(config: &Config) -> String {
    let error = Pool::new(config).get().await.unwrap_err();
    assert!(matches!(error, Error::Connect(_)), "{error:?}");
    error.to_string()
}

#[tokio::test]
async fn sessions_and_listeners_are_protected_when_the_url_asks_for_it() {
    let database = TestDatabase::create(&[]).await;
    let front = Front::start(Some("localhost")).await;
    let config = front.config(&database, "localhost", &front.trusting());
    let mut listener = Listener::new(&config, "outbox");
    let woken = timeout(LIMIT, listener.next()).await.unwrap();
    assert_eq!(woken, Wake::Reconnected);
    let pool = Pool::new(&config);
    let connection = pool.get().await.unwrap();
    let answer = connection.query_one("select pg_notify('outbox', 'x')", &[]);
    answer.await.unwrap();
    let woken = timeout(LIMIT, listener.next()).await.unwrap();
    assert_eq!(woken, Wake::Notified("x".to_owned()));
    assert_eq!(front.protected.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused() {
    let database = TestDatabase::create(&[]).await;
    let front = Front::start(Some("localhost")).await;
    let said = refused(&front.config(&database, "localhost", "sslmode=require")).await;
    assert!(said.contains("certificate"), "{said}");
    assert_eq!(front.protected.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_certificate_of_another_host_is_refused() {
    let database = TestDatabase::create(&[]).await;
    let front = Front::start(Some("elsewhere.example")).await;
    let said = refused(&front.config(&database, "localhost", &front.trusting())).await;
    assert!(said.contains("certificate"), "{said}");
}

#[tokio::test]
async fn a_server_without_tls_gets_no_password_when_it_is_required() {
    let database = TestDatabase::create(&[]).await;
    let front = Front::start(None).await;
    let said = refused(&front.config(&database, "localhost", &front.trusting())).await;
    assert!(said.contains("TLS"), "{said}");
}
