use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue};

use super::problem::Problem;

/// The header, as RFC 7240 describes it.
pub(super) const PREFER: HeaderName = HeaderName::from_static("prefer");

/// Says how long the answer was allowed to wait.
pub(super) const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// The longest wait, in seconds: who asks for more gets this.
const WAIT_S_MAX: u64 = 30;

/// How long a read waits for what it must hold, unless told.
const WAIT: Duration = Duration::from_secs(2);

/// How long the caller is willing to wait; none when nothing is said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience(Option<Duration>);

// === impl Patience ===

impl Patience {
    /// How long to wait.
    pub(super) fn wait(self) -> Duration {
        self.0.unwrap_or(WAIT)
    }

    /// The same in milliseconds, as it travels.
    pub(super) fn wait_ms(self) -> u32 {
        u32::try_from(self.wait().as_millis()).unwrap_or(u32::MAX)
    }

    /// How long to wait where nobody waits unless told.
    pub(super) fn asked(self) -> Duration {
        self.0.unwrap_or_default()
    }

    /// What to answer as `Preference-Applied`.
    pub(super) fn applied(self) -> Option<HeaderValue> {
        let seconds = self.0?.as_secs();
        HeaderValue::try_from(format!("wait={seconds}")).ok()
    }
}

impl<S: Sync> FromRequestParts<S> for Patience {
    type Rejection = Problem;

    /// Preferences other than `wait` are not ours and are left alone, as the RFC says.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let mut patience = None;
        for value in parts.headers.get_all(PREFER) {
            let text = value.to_str().map_err(|_| malformed())?;
            for preference in text.split(',') {
                let named = preference.split(';').next().unwrap_or_default();
                let Some((name, value)) = named.split_once('=') else {
                    if named.trim().eq_ignore_ascii_case("wait") {
                        return Err(malformed());
                    }
                    continue;
                };
                if name.trim().eq_ignore_ascii_case("wait") && patience.is_none() {
                    let seconds: u64 = value
                        .trim()
                        .trim_matches('"')
                        .parse()
                        .map_err(|_| malformed())?;
                    patience = Some(Duration::from_secs(seconds.min(WAIT_S_MAX)));
                }
            }
        }
        Ok(Self(patience))
    }
}

fn malformed() -> Problem {
    let detail = format!("Prefer: wait=N takes whole seconds, 0 to {WAIT_S_MAX}");
    Problem::malformed("invalid-prefer", detail)
}
