//! Webhooks, by HTTP.
//!
//! An endpoint's name is resolved once and all its addresses are judged; the connection then goes to
//! those and to no others. Were the name resolved again when connecting, it could mean another address
//! by then: one of our own network.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use brewline_notification_domain::{CallAnswer, refusal, signed};
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::{Client, Response, Url, redirect};
use sha2::Sha256;
use uuid::Uuid;

/// What a secret begins with, by the specification.
const SECRET_PREFIX: &str = "whsec_";

/// How long resolved addresses are used: endpoints move, but seldom.
const RESOLVED_FOR: Duration = Duration::from_secs(60);

/// How many endpoints' connections are kept.
const CLIENTS_MAX: usize = 1_000;

/// How much of an answer's body is read, and for how long: enough to use the connection again. What it
/// says does not matter; the status has said everything.
const ANSWER_BYTES_MAX: usize = 16 * 1_024;
const ANSWER_BODY_MAX: Duration = Duration::from_secs(1);

/// How webhooks are called.
#[derive(Clone, Copy, Debug)]
pub struct CallSettings {
    /// Whether addresses that are not public are called.
    pub allow_private: bool,
    /// Calls to one endpoint at once.
    pub per_endpoint_max: u32,
    /// Calls to one endpoint a second.
    pub per_second_max: u32,
    /// How long one call may take.
    pub timeout: Duration,
}

/// A call, complete.
#[derive(Clone, Debug)]
pub struct Call {
    /// Whom.
    pub endpoint: Uuid,
    /// Where.
    pub url: String,
    /// The same for every attempt.
    pub id: String,
    /// When this attempt is made, in seconds since 1970.
    pub timestamp_s: i64,
    /// What is said.
    pub body: String,
    /// What signs it: the secret in use, and while it changes the former one too.
    pub secrets: Vec<String>,
}

/// Calls webhooks.
pub struct Caller {
    settings: CallSettings,
    clients: Mutex<HashMap<Uuid, Pinned>>,
}

/// A client that reaches the addresses judged, and no others.
#[derive(Clone)]
struct Pinned {
    client: Client,
    url: String,
    since: Instant,
}

/// Why a URL is not called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It is none.
    #[error("is no URL of http without user and fragment")]
    Url,
    /// It wants TLS.
    #[error("is https, which is not spoken here: name a proxy that speaks it")]
    Tls,
    /// Its name is not known.
    #[error("its host is not found")]
    Unresolved,
    /// It leads where we do not go.
    #[error("{0}")]
    Address(String),
}

// === impl Caller ===

impl Caller {
    /// A caller that connects when there is a call.
    #[must_use]
    pub fn new(settings: CallSettings) -> Self {
        let clients = Mutex::default();
        Self { settings, clients }
    }

    /// Calls, and yields what was answered.
    pub async fn call(&self, call: &Call) -> CallAnswer {
        match tokio::time::timeout(self.settings.timeout, self.send(call)).await {
            Ok(answer) => answer,
            Err(_) => {
                self.forget(call.endpoint);
                let ms = self.settings.timeout.as_millis();
                CallAnswer::None(format!("it did not answer within {ms} ms"))
            }
        }
    }

    async fn send(&self, call: &Call) -> CallAnswer {
        let client = match self.client(call).await {
            Ok(client) => client,
            Err(unfit @ Unfit::Address(_)) => return CallAnswer::Forbidden(unfit.to_string()),
            Err(unfit) => return CallAnswer::None(unfit.to_string()),
        };
        let Some(signature) = signature(call) else {
            return CallAnswer::None("its secret is unusable".to_owned());
        };
        let request = client
            .post(&call.url)
            .header("content-type", "application/json")
            .header("user-agent", "brewline-webhooks/1")
            .header("webhook-id", &call.id)
            .header("webhook-timestamp", call.timestamp_s.to_string())
            .header("webhook-signature", signature)
            .body(call.body.clone());
        match request.send().await {
            Ok(response) => answer(response).await,
            Err(error) => {
                self.forget(call.endpoint);
                CallAnswer::None(why(&error).to_owned())
            }
        }
    }

    async fn client(&self, call: &Call) -> Result<Client, Unfit> {
        if let Some(client) = self.known(call) {
            return Ok(client);
        }
        let url = url(&call.url)?;
        let addresses = resolve(&url, self.settings.allow_private).await?;
        let host = url.host_str().unwrap_or_default();
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .resolve_to_addrs(host, &addresses)
            .build()
            .map_err(|_| Unfit::Url)?;
        let pinned = Pinned {
            client: client.clone(),
            url: call.url.clone(),
            since: Instant::now(),
        };
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.retain(|_, pinned| pinned.since.elapsed() < RESOLVED_FOR);
        if clients.len() < CLIENTS_MAX {
            clients.insert(call.endpoint, pinned);
        }
        Ok(client)
    }

    fn known(&self, call: &Call) -> Option<Client> {
        let clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let pinned = clients.get(&call.endpoint)?;
        let fresh = pinned.since.elapsed() < RESOLVED_FOR && pinned.url == call.url;
        fresh.then(|| pinned.client.clone())
    }

    fn forget(&self, endpoint: Uuid) {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.remove(&endpoint);
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller").finish_non_exhaustive()
    }
}

/// Whether this URL may be registered: judged again at each call, as names change their addresses.
///
/// # Errors
/// When it is none, or leads where we do not go.
pub async fn fit(text: &str, allow_private: bool) -> Result<(), Unfit> {
    match resolve(&url(text)?, allow_private).await {
        // It may come into being later.
        Ok(_) | Err(Unfit::Unresolved) => Ok(()),
        Err(unfit) => Err(unfit),
    }
}

fn url(text: &str) -> Result<Url, Unfit> {
    let url = Url::parse(text).map_err(|_| Unfit::Url)?;
    if url.scheme() == "https" {
        return Err(Unfit::Tls);
    }
    let plain = url.scheme() == "http"
        && url.username().is_empty()
        && url.password().is_none()
        && url.fragment().is_none()
        && url.has_host();
    if plain { Ok(url) } else { Err(Unfit::Url) }
}

/// All addresses of the URL's host. One that is not public is enough to refuse: whoever answers for the
/// name chooses which one is used.
async fn resolve(url: &Url, allow_private: bool) -> Result<Vec<SocketAddr>, Unfit> {
    let host = url.host_str().ok_or(Unfit::Url)?;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let port = url.port_or_known_default().ok_or(Unfit::Url)?;
    let addresses: Vec<SocketAddr> = match bare.parse::<IpAddr>() {
        Ok(address) => vec![(address, port).into()],
        Err(_) => {
            let found = tokio::net::lookup_host((bare, port)).await;
            found.map_err(|_| Unfit::Unresolved)?.collect()
        }
    };
    if addresses.is_empty() {
        return Err(Unfit::Unresolved);
    }
    let refused = addresses.iter().find_map(|address| refusal(address.ip()));
    match refused {
        Some(refused) if !allow_private => Err(Unfit::Address(refused.to_string())),
        _ => Ok(addresses),
    }
}

/// The header's value: a signature by each secret.
fn signature(call: &Call) -> Option<String> {
    let text = signed(&call.id, call.timestamp_s, &call.body);
    let by = |secret: &String| {
        let key = BASE64.decode(secret.strip_prefix(SECRET_PREFIX)?).ok()?;
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
        mac.update(text.as_bytes());
        Some(format!("v1,{}", BASE64.encode(mac.finalize().into_bytes())))
    };
    let signatures: Option<Vec<String>> = call.secrets.iter().map(by).collect();
    signatures.map(|signatures| signatures.join(" "))
}

/// A new secret out of this many random bytes.
#[must_use]
pub fn secret(random: &[u8; 32]) -> String {
    format!("{SECRET_PREFIX}{}", BASE64.encode(random))
}

/// The status, once a bounded part of the body has been read: a connection with an unread body is lost.
async fn answer(mut response: Response) -> CallAnswer {
    let status = response.status().as_u16();
    let retry_after = retry_after(&response);
    let drain = async {
        let mut read = 0_usize;
        while let Ok(Some(chunk)) = response.chunk().await {
            read = read.saturating_add(chunk.len());
            if read > ANSWER_BYTES_MAX {
                break;
            }
        }
    };
    // Too long or too slow: the connection is dropped, the status counts.
    tokio::time::timeout(ANSWER_BODY_MAX, drain).await.ok();
    CallAnswer::Status {
        status,
        retry_after,
    }
}

/// In seconds; the other form, a date, is rare, and the schedule waits as well.
fn retry_after(response: &Response) -> Option<Duration> {
    let text = response.headers().get("retry-after")?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}

/// In words of ours: a library's hold addresses.
fn why(error: &reqwest::Error) -> &'static str {
    if error.is_connect() {
        "it is not reached"
    } else if error.is_builder() {
        "its scheme is not spoken here"
    } else {
        "the connection to it broke"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(secrets: &[&str]) -> Call {
        Call {
            endpoint: Uuid::nil(),
            url: "http://example.com".to_owned(),
            id: "msg_p5jXN8AQM9LWM0D4loKWxJek".to_owned(),
            timestamp_s: 1_614_265_330,
            body: r#"{"test": 2432232314}"#.to_owned(),
            secrets: secrets.iter().map(|secret| (*secret).to_owned()).collect(),
        }
    }

    #[test]
    fn a_signature_is_the_one_of_the_specifications_example() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let wanted = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(signature(&call(&[secret])).as_deref(), Some(wanted));
        let other = super::secret(&[7; 32]);
        let both = signature(&call(&[&other, secret])).unwrap();
        assert_eq!(both.split(' ').count(), 2);
        assert!(both.ends_with(wanted));
        assert_eq!(signature(&call(&["whsec_%"])), None);
    }

    #[tokio::test]
    async fn urls_that_lead_to_our_own_network_are_unfit() {
        for text in [
            "http://127.0.0.1/x",
            "http://[::1]:80/",
            "http://[::ffff:10.0.0.1]/",
            "http://169.254.169.254/latest",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://localhost/",
        ] {
            let judged = fit(text, false).await;
            assert!(
                matches!(judged, Err(Unfit::Address(_))),
                "{text}: {judged:?}"
            );
            assert_eq!(fit(text, true).await, Ok(()), "{text}");
        }
        for text in [
            "ftp://example.com/",
            "http://a:b@8.8.8.8/",
            "x",
            "http://8.8.8.8/#a",
        ] {
            assert_eq!(fit(text, true).await, Err(Unfit::Url), "{text}");
        }
        assert_eq!(fit("http://8.8.8.8/hook", false).await, Ok(()));
        let tls = fit("https://8.8.8.8/hook", false).await;
        assert_eq!(
            tls,
            Err(Unfit::Tls),
            "it is refused instead of failing later"
        );
    }
}
