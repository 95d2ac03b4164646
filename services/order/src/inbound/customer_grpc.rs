//! Customers over gRPC: `brewline.customer.v1.CustomerService`.

use brewline_kernel::{CustomerId, IdempotencyKey, TraceParent};
use brewline_proto::customer::v1 as wire;
use prost::Message as _;
use sha2::{Digest as _, Sha256};
use tonic::{Request, Response, Status};
use wire::customer_service_server::CustomerService;

use super::grpc::{Faults, refuse, traceparent};
use crate::Parts;
use crate::app::customers::{self, ChangeCustomer, CreateCustomer};
use crate::outbound::idempotency_store::Fingerprint;

const NAME_CHARS_MAX: usize = 100;
/// The longest address that SMTP can carry.
const EMAIL_CHARS_MAX: usize = 254;
const LOCALE_CHARS_MAX: usize = 35;
/// Where a language nobody chose comes from.
const LOCALE_DEFAULT: &str = "en";

/// Serves customers.
#[derive(Debug, Clone)]
pub struct CustomerGrpc {
    parts: Parts,
}

// === impl CustomerGrpc ===

impl CustomerGrpc {
    /// Serves what `parts` hold.
    #[must_use]
    pub const fn new(parts: Parts) -> Self {
        Self { parts }
    }
}

#[tonic::async_trait]
impl CustomerService for CustomerGrpc {
    async fn create_customer(
        &self,
        request: Request<wire::CreateCustomerRequest>,
    ) -> Result<Response<wire::CreateCustomerResponse>, Status> {
        let request = CreateCustomer {
            traceparent: trace_of(&request),
            ..create_customer(request.into_inner())?
        };
        let created = customers::create(&self.parts, request).await;
        let created = created.map_err(refuse::customer)?;
        Ok(Response::new(wire::CreateCustomerResponse {
            customer: Some(created.customer),
            replayed: created.replayed,
        }))
    }

    async fn get_customer(
        &self,
        request: Request<wire::GetCustomerRequest>,
    ) -> Result<Response<wire::GetCustomerResponse>, Status> {
        let customer_id = customer_id(&request.into_inner().customer_id)?;
        let customer = customers::get(&self.parts, &customer_id).await;
        Ok(Response::new(wire::GetCustomerResponse {
            customer: Some(customer.map_err(refuse::customer)?),
        }))
    }

    async fn change_customer(
        &self,
        request: Request<wire::ChangeCustomerRequest>,
    ) -> Result<Response<wire::ChangeCustomerResponse>, Status> {
        let request = ChangeCustomer {
            traceparent: trace_of(&request),
            ..change_customer(request.into_inner())?
        };
        let changed = customers::change(&self.parts, request).await;
        Ok(Response::new(wire::ChangeCustomerResponse {
            customer: Some(changed.map_err(refuse::customer)?),
        }))
    }

    async fn erase_customer(
        &self,
        request: Request<wire::EraseCustomerRequest>,
    ) -> Result<Response<wire::EraseCustomerResponse>, Status> {
        let trace = trace_of(&request);
        let customer_id = customer_id(&request.into_inner().customer_id)?;
        let version = customers::erase(&self.parts, &customer_id, trace).await;
        Ok(Response::new(wire::EraseCustomerResponse {
            version: version.map_err(refuse::customer)?,
        }))
    }
}

fn trace_of<M>(request: &Request<M>) -> Option<TraceParent> {
    let trace = request.metadata().get("traceparent");
    trace.and_then(|value| traceparent(value.to_str().ok()?))
}

fn customer_id(text: &str) -> Result<CustomerId, Status> {
    let mut faults = Faults::default();
    let customer_id = faults.parse("customerId", text);
    faults.finish(customer_id)
}

fn change_customer(request: wire::ChangeCustomerRequest) -> Result<ChangeCustomer, Status> {
    let mut faults = Faults::default();
    let customer_id = faults.parse("customerId", &request.customer_id);
    if let Some(name) = &request.name {
        check_name(&mut faults, name);
    }
    if let Some(email) = &request.email {
        check_email(&mut faults, email);
    }
    if let Some(locale) = &request.locale {
        check_locale(&mut faults, locale);
    }
    let expected_version = request.expected_version;
    let parsed = customer_id.map(|customer_id| ChangeCustomer {
        customer_id,
        name: request.name,
        email: request.email,
        locale: request.locale,
        show_name: request.show_name,
        expected_version: (expected_version != 0).then_some(expected_version),
        traceparent: None,
    });
    faults.finish(parsed)
}

fn create_customer(request: wire::CreateCustomerRequest) -> Result<CreateCustomer, Status> {
    let mut faults = Faults::default();
    let fingerprint = fingerprint(&request);
    let principal = faults.principal(request.principal);
    let key: Option<IdempotencyKey> = faults.parse("idempotencyKey", &request.idempotency_key);
    let customer_id = faults.parse_given("customerId", &request.customer_id);
    check_name(&mut faults, &request.name);
    check_email(&mut faults, &request.email);
    let locale = if request.locale.is_empty() {
        LOCALE_DEFAULT.to_owned()
    } else {
        request.locale
    };
    check_locale(&mut faults, &locale);
    let parsed = principal.zip(key).map(|(principal, key)| CreateCustomer {
        principal,
        key,
        fingerprint,
        customer_id,
        name: request.name,
        email: request.email,
        locale,
        show_name: request.show_name,
        traceparent: None,
    });
    faults.finish(parsed)
}

fn fingerprint(request: &wire::CreateCustomerRequest) -> Fingerprint {
    let body = wire::CreateCustomerRequest {
        principal: String::new(),
        idempotency_key: String::new(),
        ..request.clone()
    };
    Sha256::digest(body.encode_to_vec()).into()
}

fn check_name(faults: &mut Faults, name: &str) {
    let chars = name.chars().count();
    let blank = name.trim().is_empty();
    if blank || chars > NAME_CHARS_MAX || name.chars().any(char::is_control) {
        let detail = format!("a name has 1 to {NAME_CHARS_MAX} characters, not all of them blank");
        faults.add("name", detail);
    }
}

/// Whether mail arrives is for the mail server to say; here only what can be no address, or could be
/// taken for more than one.
fn check_email(faults: &mut Faults, email: &str) {
    let plain = |part: &str| {
        let odd = |c: char| c.is_control() || c.is_whitespace() || "<>(),;:\\\"[]@".contains(c);
        !part.is_empty() && !part.chars().any(odd)
    };
    let whole = email
        .rsplit_once('@')
        .is_some_and(|(name, host)| plain(name) && plain(host));
    if !whole || email.len() > EMAIL_CHARS_MAX {
        let detail = format!("an address is name@host, at most {EMAIL_CHARS_MAX} characters");
        faults.add("email", detail);
    } else if !email.is_ascii() {
        // Other letters need SMTPUTF8 at every server on the way.
        let detail =
            "no mail can be delivered to it: only ASCII letters, a host name in its `xn--` form";
        faults.add("email", detail);
    }
}

/// BCP 47: parts of letters and digits, the first of two or three letters.
fn check_locale(faults: &mut Faults, locale: &str) {
    let language = locale.split('-').next().unwrap_or_default();
    let language = (2..=3).contains(&language.len())
        && language.bytes().all(|byte| byte.is_ascii_alphabetic());
    let part = |part: &str| {
        (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    if !language || !locale.split('-').all(part) || locale.len() > LOCALE_CHARS_MAX {
        let detail = "a locale is a language tag of BCP 47, such as `en` or `pt-PT`";
        faults.add("locale", detail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults_of(check: fn(&mut Faults, &str), text: &str) -> bool {
        let mut faults = Faults::default();
        check(&mut faults, text);
        faults.finish(Some(())).is_err()
    }

    #[test]
    fn addresses_are_one_name_at_one_host() {
        for right in ["ada@example.org", "a.b+c@x.co", "u@xn--tda.test"] {
            assert!(!faults_of(check_email, right), "{right} was refused");
        }
        for wrong in [
            "",
            "ada",
            "@x",
            "a@",
            "a b@x",
            "a@x,b@y",
            "a@b@c",
            "<a@x>",
            "a@x\r\nBcc:",
            "ü@x.test",
            "u@ü.test",
        ] {
            assert!(faults_of(check_email, wrong), "{wrong} was taken");
        }
    }

    #[test]
    fn locales_are_language_tags() {
        for right in ["en", "pt-PT", "zh-Hant-TW"] {
            assert!(!faults_of(check_locale, right), "{right} was refused");
        }
        for wrong in ["", "e", "english", "en_US", "en-", "e1"] {
            assert!(faults_of(check_locale, wrong), "{wrong} was taken");
        }
    }

    #[test]
    fn names_are_not_blank() {
        assert!(!faults_of(check_name, "Zoë"));
        for wrong in ["", "  ", "a\0b", &"x".repeat(101)] {
            assert!(faults_of(check_name, wrong), "{wrong:?} was taken");
        }
    }
}
