//! What a mail says.

use brewline_kernel::OrderId;

use crate::Kind;

/// A mail's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its subject.
    pub subject: String,
    /// Its body, plain text.
    pub body: String,
}

/// The mail's name. It follows from what it tells, so that every repeat carries the same one and a
/// mailbox shows one mail.
#[must_use]
pub fn message_id(order: OrderId, kind: Kind) -> String {
    format!("<{order}.{}@brewline>", kind.name())
}

/// The text for a customer of this name, in the language of `locale` where we speak it, else in English.
/// `detail` says more, such as why an order was rejected; it may be empty.
#[must_use]
pub fn message(kind: Kind, order: OrderId, name: &str, locale: &str, detail: &str) -> Message {
    let phrases = phrases(kind, locale);
    let short = short(order);
    let detail = match detail {
        "" => String::new(),
        detail => format!("\n{detail}\n"),
    };
    let [hello, about] = [phrases.hello, phrases.body];
    Message {
        subject: format!("{} ({short})", phrases.subject),
        body: format!("{hello} {name},\n\n{about}\n{detail}\nbrewline, {order}\n"),
    }
}

struct Phrases {
    hello: &'static str,
    subject: &'static str,
    body: &'static str,
}

fn phrases(kind: Kind, locale: &str) -> Phrases {
    let language = locale.split(['-', '_']).next().unwrap_or_default();
    match language {
        "pt" => portuguese(kind),
        "nb" | "no" | "nn" => norwegian(kind),
        _ => english(kind),
    }
}

const fn english(kind: Kind) -> Phrases {
    let (subject, body) = match kind {
        Kind::Confirmed => (
            "Your order is confirmed",
            "Your order is confirmed and on its way to the bar.",
        ),
        Kind::Rejected => (
            "Your order could not be taken",
            "We could not take your order. You were not charged.",
        ),
        Kind::Ready => ("Your order is ready", "Your order is ready. Enjoy!"),
        Kind::Cancelled => (
            "Your order is cancelled",
            "Your order is cancelled. What was paid is paid back.",
        ),
    };
    let hello = "Hello";
    Phrases {
        hello,
        subject,
        body,
    }
}

const fn portuguese(kind: Kind) -> Phrases {
    let (subject, body) = match kind {
        Kind::Confirmed => ("Pedido confirmado", "O seu pedido foi confirmado."),
        Kind::Rejected => (
            "Pedido recusado",
            "Não foi possível aceitar o seu pedido. Nada foi cobrado.",
        ),
        Kind::Ready => ("Pedido pronto", "O seu pedido está pronto. Bom proveito!"),
        Kind::Cancelled => (
            "Pedido cancelado",
            "O seu pedido foi cancelado. O que foi pago é devolvido.",
        ),
    };
    let hello = "Olá";
    Phrases {
        hello,
        subject,
        body,
    }
}

const fn norwegian(kind: Kind) -> Phrases {
    let (subject, body) = match kind {
        Kind::Confirmed => (
            "Bestillingen er bekreftet",
            "Bestillingen din er bekreftet.",
        ),
        Kind::Rejected => (
            "Bestillingen ble ikke tatt imot",
            "Vi kunne ikke ta imot bestillingen din. Du er ikke belastet.",
        ),
        Kind::Ready => ("Bestillingen er klar", "Bestillingen din er klar. Kos deg!"),
        Kind::Cancelled => (
            "Bestillingen er avbestilt",
            "Bestillingen din er avbestilt. Det som er betalt, betales tilbake.",
        ),
    };
    let hello = "Hei";
    Phrases {
        hello,
        subject,
        body,
    }
}

/// The last characters of an order's id: the first ones are the time, the same for its neighbours.
fn short(order: OrderId) -> String {
    let text = order.to_string();
    text.get(text.len().saturating_sub(6)..)
        .unwrap_or_default()
        .to_owned()
}
