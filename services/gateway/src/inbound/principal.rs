use std::convert::Infallible;
use std::fmt;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

/// Who asks. Every handler that calls a service takes one, so that there is no way around it.
///
/// Until there is identity everybody is anonymous, which is why the gateway listens on loopback only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Principal {
    /// Nobody in particular.
    Anonymous,
}

// === impl Principal ===

impl Principal {
    /// The name under which services keep idempotency keys apart.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl<S: Sync> FromRequestParts<S> for Principal {
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::Anonymous)
    }
}
