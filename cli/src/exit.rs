//! What a command's exit says: 0 it is done, 1 the answer is no, 2 nobody could tell, 64 wrong usage.
//!
//! Arguments that can be judged by themselves are judged while they are read. What turns out later is
//! an error that carries one of the two marks of this file; an error without any is a no.

use crate::shop::Problem;

/// The answer is no.
pub const NO: u8 = 1;
/// It could not be told: what was asked did not answer.
pub const UNKNOWN: u8 = 2;
/// Wrong usage.
pub const USAGE: u8 = 64;

/// An error that says "could not tell" rather than "no". As a context it makes one of another error.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unknown(pub String);

/// An error that says "this cannot be asked". As a context it makes one of another error.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// The exit code of a failed verb.
#[must_use]
pub fn code(error: &anyhow::Error) -> u8 {
    // A context is found by `is` alone: to the chain it is a nameless wrapper.
    if error.is::<Usage>() || error.chain().any(is_nonsense) {
        USAGE
    } else if error.is::<Unknown>() || error.chain().any(is_silence) {
        UNKNOWN
    } else {
        NO
    }
}

/// Whether a cause means that what was asked makes no sense, here or at the gateway.
fn is_nonsense(cause: &(dyn std::error::Error + 'static)) -> bool {
    let refused = |problem: &Problem| problem.code.starts_with("invalid-");
    cause.is::<Usage>() || cause.downcast_ref().is_some_and(refused)
}

/// Whether a cause means that somebody gave no answer, or none that says anything.
fn is_silence(cause: &(dyn std::error::Error + 'static)) -> bool {
    let no_answer = |error: &reqwest::Error| !error.is_builder();
    let own_fault = |problem: &Problem| problem.status >= 500;
    cause.is::<Unknown>()
        || cause.is::<brewline_postgres::Error>()
        || cause.is::<brewline_kafka::Error>()
        || cause.is::<brewline_chaos::workload::Error>()
        || cause.downcast_ref().is_some_and(no_answer)
        || cause.downcast_ref().is_some_and(own_fault)
}

#[cfg(test)]
mod tests {
    use anyhow::{Context as _, anyhow};

    use super::*;

    fn problem(status: u16, code: &str) -> anyhow::Error {
        Problem {
            status,
            code: code.to_owned(),
            detail: "d".to_owned(),
        }
        .into()
    }

    #[test]
    fn each_kind_of_failure_has_its_code_wherever_in_the_chain_it_stands() {
        let unknown = || Unknown("silence".to_owned());
        let usage = || Usage("nonsense".to_owned());
        let io = std::io::Error::other("broken");
        let cases = [
            (anyhow!("no"), NO),
            (anyhow!(io), NO),
            (unknown().into(), UNKNOWN),
            (anyhow!("why").context(unknown()), UNKNOWN),
            (anyhow!(unknown()).context("while asking"), UNKNOWN),
            (anyhow!("why").context(unknown()).context("so"), UNKNOWN),
            (anyhow!("why").context(usage()).context("so"), USAGE),
            (anyhow!(usage()).context(unknown()), USAGE),
            (problem(400, "invalid-query"), USAGE),
            (problem(422, "invalid-request"), USAGE),
            (problem(422, "unknown-product"), NO),
            (problem(404, "unknown-order"), NO),
            (problem(503, "unavailable"), UNKNOWN),
        ];
        for (error, expected) in cases {
            assert_eq!(code(&error), expected, "{error:#}");
        }
    }

    #[tokio::test]
    async fn a_gateway_that_is_not_there_could_not_be_asked() {
        let shop = crate::shop::Shop::at("http://127.0.0.1:1".to_owned()).unwrap();
        let error = shop.get("/v1/orders", 0).await.context("look").unwrap_err();
        assert_eq!(code(&error), UNKNOWN);
    }
}
