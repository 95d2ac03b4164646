//! TLS to the database, as the URL asks for it.
//!
//! `sslmode` and `sslrootcert` are those of libpq, so that one URL serves psql as well, with two
//! differences: nothing said means no TLS, since the bundled database is reached over loopback or the
//! cluster's own network; and where TLS is used the server's certificate and name are always verified,
//! by `sslrootcert` or the system's roots, because an unverified one protects from nobody who can
//! be in the middle.

use std::error::Error as StdError;
use std::fmt;
use std::future::ready;
use std::pin::Pin;

use openssl::error::ErrorStack;
use openssl::ssl::{SslConnector, SslMethod};
use postgres_openssl::{MakeTlsConnector, TlsConnector, TlsStream};
use tokio_postgres::Socket;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};

use crate::Error;

/// How connections are protected. Cheap to clone.
#[derive(Clone)]
pub(crate) enum Tls {
    Off,
    On(MakeTlsConnector),
}

/// One connection's handshake.
pub(crate) enum Handshake {
    /// The driver asks for none.
    Off,
    On(TlsConnector),
}

type Boxed = Box<dyn StdError + Send + Sync>;

// === impl Tls ===

impl Tls {
    /// Reads what a URL says about TLS. Answers it in the driver's own words.
    pub(crate) fn of_url(url: &str) -> Result<(String, Self), Error> {
        let (address, query) = url.split_once('?').unwrap_or((url, ""));
        let (mut kept, mut mode, mut roots) = (Vec::new(), "disable", None);
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            match parameter.split_once('=') {
                Some(("sslmode", "verify-ca" | "verify-full")) => mode = "require",
                Some(("sslmode", other)) => mode = other,
                Some(("sslrootcert", path)) => roots = Some(path),
                Some(_) | None => kept.push(parameter),
            }
        }
        let tls = if mode == "disable" {
            Self::Off
        } else {
            Self::On(connector(roots).map_err(|source| Error::Roots {
                file: roots.unwrap_or("the system's").to_owned(),
                source,
            })?)
        };
        let mode = format!("sslmode={mode}");
        kept.push(&mode);
        Ok((format!("{address}?{}", kept.join("&")), tls))
    }
}

/// Verifies by these roots, or by the system's.
fn connector(roots: Option<&str>) -> Result<MakeTlsConnector, ErrorStack> {
    let mut builder = SslConnector::builder(SslMethod::tls_client())?;
    if let Some(file) = roots {
        builder.set_ca_file(file)?;
    }
    Ok(MakeTlsConnector::new(builder.build()))
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "Off",
            Self::On(_) => "On",
        })
    }
}

impl MakeTlsConnect<Socket> for Tls {
    type Stream = TlsStream<Socket>;
    type TlsConnect = Handshake;
    type Error = ErrorStack;

    fn make_tls_connect(&mut self, host: &str) -> Result<Handshake, ErrorStack> {
        match self {
            Self::Off => Ok(Handshake::Off),
            Self::On(connector) => {
                MakeTlsConnect::<Socket>::make_tls_connect(connector, host).map(Handshake::On)
            }
        }
    }
}

// === impl Handshake ===

impl TlsConnect<Socket> for Handshake {
    type Stream = TlsStream<Socket>;
    type Error = Boxed;
    type Future = Pin<Box<dyn Future<Output = Result<TlsStream<Socket>, Boxed>> + Send>>;

    fn connect(self, stream: Socket) -> Self::Future {
        match self {
            Self::Off => Box::pin(ready(Err("TLS is turned off".into()))),
            Self::On(connector) => connector.connect(stream),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> (String, bool) {
        let (url, tls) = Tls::of_url(url).unwrap();
        (url, matches!(tls, Tls::On(_)))
    }

    #[test]
    fn without_a_word_there_is_none() {
        let asked = read("postgres://u@h:1/d");
        assert_eq!(
            asked,
            ("postgres://u@h:1/d?sslmode=disable".to_owned(), false)
        );
    }

    #[test]
    fn what_verifies_is_required_and_the_rest_of_the_url_stays() {
        for mode in ["require", "verify-ca", "verify-full"] {
            let (url, on) = read(&format!(
                "postgres://u@h/d?options=-c%20a%3D1&sslmode={mode}"
            ));
            assert_eq!(url, "postgres://u@h/d?options=-c%20a%3D1&sslmode=require");
            assert!(on);
        }
    }

    #[test]
    fn roots_that_cannot_be_read_are_named() {
        let url = "postgres://u@h/d?sslmode=require&sslrootcert=/nowhere/ca.pem";
        let error = Tls::of_url(url).unwrap_err().to_string();
        assert!(error.contains("/nowhere/ca.pem"), "{error}");
    }
}
