//! Webhooks, by HTTP and HTTPS.
//!
//! An endpoint's name is resolved once and all its addresses are judged; the connection then goes to
//! those and to no others. Were the name resolved again when connecting, it could mean another address
//! by then: one of our own network.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use brewline_notification_domain::{CallAnswer, refusal, signed};
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::header::RETRY_AFTER;
use http::{HeaderMap, Request, Uri};
use http_body::Body;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy;
use rustls::ClientConfig;
use sha2::Sha256;
use url::Url;
use uuid::Uuid;

use super::https::{self, Client};

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
    tls: Arc<ClientConfig>,
    clients: Mutex<HashMap<Uuid, Pinned>>,
}

/// A client that reaches the addresses judged, and no others.
#[derive(Clone)]
struct Pinned {
    client: Client,
    url: String,
    uri: Uri,
    since: Instant,
}

/// Why a URL is not called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It is none.
    #[error("is no URL of http or https without user and fragment")]
    Url,
    /// Its name is not known.
    #[error("its host is not found")]
    Unresolved,
    /// It leads where we do not go.
    #[error("{0}")]
    Address(String),
}

// === impl Caller ===

impl Caller {
    /// A caller that connects when there is a call, and trusts whom `tls` says.
    #[must_use]
    pub fn new(settings: CallSettings, tls: Arc<ClientConfig>) -> Self {
        let clients = Mutex::default();
        Self {
            settings,
            tls,
            clients,
        }
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
        let (client, uri) = match self.client(call).await {
            Ok(reached) => reached,
            Err(unfit @ Unfit::Address(_)) => return CallAnswer::Forbidden(unfit.to_string()),
            Err(unfit) => return CallAnswer::None(unfit.to_string()),
        };
        let Some(signature) = signature(call) else {
            return CallAnswer::None("its secret is unusable".to_owned());
        };
        let request = Request::post(uri)
            .header("content-type", "application/json")
            .header("accept", "*/*")
            .header("user-agent", "brewline-webhooks/1")
            .header("webhook-id", &call.id)
            .header("webhook-timestamp", call.timestamp_s.to_string())
            .header("webhook-signature", signature)
            .body(Full::from(call.body.clone()));
        let Ok(request) = request else {
            return CallAnswer::None(Unfit::Url.to_string());
        };
        match client.request(request).await {
            Ok(response) => answer(response, call.timestamp_s).await,
            Err(error) => {
                self.forget(call.endpoint);
                CallAnswer::None(why(&error).to_owned())
            }
        }
    }

    async fn client(&self, call: &Call) -> Result<(Client, Uri), Unfit> {
        if let Some(reached) = self.known(call) {
            return Ok(reached);
        }
        let url = url(&call.url)?;
        let addresses = resolve(&url, self.settings.allow_private).await?;
        let client = https::client(&self.tls, &addresses);
        // As it was parsed and judged: others may read odd spellings of an address otherwise.
        let uri: Uri = url.as_str().parse().map_err(|_| Unfit::Url)?;
        let pinned = Pinned {
            client: client.clone(),
            url: call.url.clone(),
            uri: uri.clone(),
            since: Instant::now(),
        };
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.retain(|_, pinned| pinned.since.elapsed() < RESOLVED_FOR);
        if clients.len() < CLIENTS_MAX {
            clients.insert(call.endpoint, pinned);
        }
        Ok((client, uri))
    }

    fn known(&self, call: &Call) -> Option<(Client, Uri)> {
        let clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let pinned = clients.get(&call.endpoint)?;
        let fresh = pinned.since.elapsed() < RESOLVED_FOR && pinned.url == call.url;
        fresh.then(|| (pinned.client.clone(), pinned.uri.clone()))
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
    let plain = matches!(url.scheme(), "http" | "https")
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
async fn answer<B>(response: http::Response<B>, called_s: i64) -> CallAnswer
where
    B: Body<Data = Bytes> + Unpin,
{
    let status = response.status().as_u16();
    let retry_after = retry_after(response.headers(), called_s);
    let mut body = response.into_body();
    let drain = async {
        let mut read = 0_usize;
        while let Some(Ok(frame)) = body.frame().await {
            read = read.saturating_add(frame.data_ref().map_or(0, Bytes::len));
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

/// Seconds, or the date until when to wait: an HTTP date in any of its three forms. What is neither counts
/// as nothing; the schedule waits as well.
fn retry_after(headers: &HeaderMap, called_s: i64) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(text).ok()?;
    let until = until.duration_since(UNIX_EPOCH).ok()?;
    let called = Duration::from_secs(u64::try_from(called_s).ok()?);
    Some(until.saturating_sub(called))
}

/// In words of ours: a library's hold addresses.
fn why(error: &legacy::Error) -> &'static str {
    if https::is_tls(error) {
        "TLS with it failed: its certificate must be for this name and from an authority that is trusted"
    } else if error.is_connect() {
        "it is not reached"
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
        assert_eq!(fit("https://8.8.8.8/hook", false).await, Ok(()));
        let ours = fit("https://127.0.0.1/hook", false).await;
        assert!(matches!(ours, Err(Unfit::Address(_))), "{ours:?}");
    }

    #[test]
    fn whoever_asks_to_wait_is_understood_in_seconds_and_as_a_date() {
        let waits = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            retry_after(&headers, 1_445_412_400)
        };
        for (text, seconds) in [
            ("120", 120),
            ("Wed, 21 Oct 2015 07:28:00 GMT", 80),
            ("Wednesday, 21-Oct-15 07:28:00 GMT", 80),
            ("Wed Oct 21 07:28:00 2015", 80),
            ("Wed, 21 Oct 2015 07:00:00 GMT", 0),
        ] {
            assert_eq!(waits(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["soon", "-1", "Wed, 41 Oct 2015 07:28:00 GMT"] {
            assert_eq!(waits(text), None, "{text}");
        }
    }
}
