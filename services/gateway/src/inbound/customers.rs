//! `/v1/customers`

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::Response;
use brewline_kernel::CustomerId;
use brewline_proto::customer::v1 as wire;
use serde::Deserialize;

use super::body::Json;
use super::call::Call;
use super::consistency::{self, CONSISTENCY, Tokens};
use super::edge::Edge;
use super::etag::{ETag, IfMatch};
use super::fields::Faults;
use super::headers::Key;
use super::path::Id;
use super::principal::Principal;
use super::problem::Problem;
use super::respond::Answer;
use super::status::nonsense;
use super::views::{CustomerView, ErasedView};

/// The longest name, address (RFC 5321) and language tag, in characters.
const NAME_CHARS_MAX: usize = 200;
const EMAIL_CHARS_MAX: usize = 254;
const LOCALE_CHARS_MAX: usize = 35;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CreateCustomer {
    /// Chosen by hand, as demo data does; else one is made.
    customer_id: Option<String>,
    name: String,
    email: String,
    locale: String,
    show_name: bool,
}

/// What is left out, or null, stays as it is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ChangeCustomer {
    name: Option<String>,
    email: Option<String>,
    locale: Option<String>,
    show_name: Option<bool>,
}

/// `POST /v1/customers`
pub(super) async fn create(
    State(edge): State<Edge>,
    principal: Principal,
    call: Call,
    Key(key): Key,
    Json(customer): Json<CreateCustomer>,
) -> Result<Response, Problem> {
    customer.check()?;
    let message = wire::CreateCustomerRequest {
        principal: principal.name().to_owned(),
        idempotency_key: key.as_str().to_owned(),
        customer_id: customer.customer_id.unwrap_or_default(),
        name: customer.name,
        email: customer.email,
        locale: customer.locale,
        show_name: customer.show_name,
    };
    let mut customers = edge.upstreams().customers.clone();
    let answer = call
        .write(message, async |request| {
            customers.create_customer(request).await
        })
        .await?;
    let customer = answer.customer.ok_or_else(|| nonsense("the customer"))?;
    let (topic, subject) = (consistency::CUSTOMERS, &customer.customer_id);
    let token = consistency::token(topic, subject, customer.version);
    let path = format!("/v1/customers/{}", customer.customer_id);
    let answered = if customer.erased {
        Answer::json(StatusCode::CREATED, &erased(customer))?
    } else {
        Answer::json(StatusCode::CREATED, &CustomerView::from(customer))?
    };
    Ok(answered
        .at(&path)
        .with(CONSISTENCY, token)
        .replayed(answer.replayed)
        .finish())
}

/// `GET /v1/customers/{customerId}`
///
/// It is read from the very table that was written: whatever a token asks for is there.
pub(super) async fn get(
    State(edge): State<Edge>,
    _: Principal,
    call: Call,
    Id(customer_id): Id<CustomerId>,
    Tokens(_): Tokens,
) -> Result<Response, Problem> {
    let message = wire::GetCustomerRequest {
        customer_id: customer_id.as_str().to_owned(),
    };
    let mut customers = edge.upstreams().customers.clone();
    let answer = call
        .read(message, async |request| {
            customers.get_customer(request).await
        })
        .await?;
    let customer = answer.customer.ok_or_else(|| nonsense("the customer"))?;
    Ok(tagged(customer)?.finish())
}

/// `PATCH /v1/customers/{customerId}`
pub(super) async fn change(
    State(edge): State<Edge>,
    _: Principal,
    call: Call,
    Id(customer_id): Id<CustomerId>,
    IfMatch(version): IfMatch,
    Json(change): Json<ChangeCustomer>,
) -> Result<Response, Problem> {
    change.check()?;
    let message = wire::ChangeCustomerRequest {
        customer_id: customer_id.as_str().to_owned(),
        name: change.name,
        email: change.email,
        locale: change.locale,
        show_name: change.show_name,
        expected_version: version.unwrap_or_default(),
    };
    let mut customers = edge.upstreams().customers.clone();
    let answer = call
        .write(message, async |request| {
            customers.change_customer(request).await
        })
        .await?;
    let customer = answer.customer.ok_or_else(|| nonsense("the customer"))?;
    let (topic, subject) = (consistency::CUSTOMERS, &customer.customer_id);
    let token = consistency::token(topic, subject, customer.version);
    Ok(tagged(customer)?.with(CONSISTENCY, token).finish())
}

/// `DELETE /v1/customers/{customerId}`
pub(super) async fn erase(
    State(edge): State<Edge>,
    _: Principal,
    call: Call,
    Id(customer_id): Id<CustomerId>,
) -> Result<Response, Problem> {
    let message = wire::EraseCustomerRequest {
        customer_id: customer_id.as_str().to_owned(),
    };
    let mut customers = edge.upstreams().customers.clone();
    let answer = call
        .write(message, async |request| {
            customers.erase_customer(request).await
        })
        .await?;
    let (topic, subject) = (consistency::CUSTOMERS, customer_id.as_str());
    let token = consistency::token(topic, subject, answer.version);
    Ok(Answer::empty(StatusCode::NO_CONTENT)
        .with(CONSISTENCY, token)
        .finish())
}

/// A customer with the tag of its version.
fn tagged(customer: wire::Customer) -> Result<Answer, Problem> {
    let etag = ETag::of_version(customer.version).value();
    let answer = Answer::json(StatusCode::OK, &CustomerView::from(customer))?;
    Ok(answer.with(header::ETAG, etag))
}

fn erased(customer: wire::Customer) -> ErasedView {
    ErasedView {
        customer_id: customer.customer_id,
        erased: true,
    }
}

fn check_email(faults: &mut Faults, email: &str) {
    faults.some_text("email", email, EMAIL_CHARS_MAX);
    // Whether it can be reached only a mail can tell; this finds a field that was mixed up.
    let halves = email.split_once('@');
    if !halves.is_some_and(|(user, host)| !user.is_empty() && !host.is_empty()) {
        faults.add("email", "an address has something on both sides of an `@`");
    }
}

fn check_locale(faults: &mut Faults, locale: &str) {
    let tag = |c: u8| c.is_ascii_alphanumeric() || c == b'-';
    let fits = (1..=LOCALE_CHARS_MAX).contains(&locale.len());
    if !fits || !locale.bytes().all(tag) {
        faults.add("locale", "a language tag such as `en` or `pt-PT`");
    }
}

// === impl CreateCustomer ===

impl CreateCustomer {
    fn check(&self) -> Result<(), Problem> {
        let mut faults = Faults::default();
        if let Some(id) = &self.customer_id {
            faults.parse::<CustomerId>("customerId", id);
        }
        faults.some_text("name", &self.name, NAME_CHARS_MAX);
        check_email(&mut faults, &self.email);
        check_locale(&mut faults, &self.locale);
        faults.finish()
    }
}

// === impl ChangeCustomer ===

impl ChangeCustomer {
    fn check(&self) -> Result<(), Problem> {
        let mut faults = Faults::default();
        if let Some(name) = &self.name {
            faults.some_text("name", name, NAME_CHARS_MAX);
        }
        if let Some(email) = &self.email {
            check_email(&mut faults, email);
        }
        if let Some(locale) = &self.locale {
            check_locale(&mut faults, locale);
        }
        faults.finish()
    }
}
