//! The mail server, by SMTP.
//!
//! Connections are kept here and not by the library's own pool: that one takes a connection back whose
//! mail was given up in the middle, and the next mail would read the former one's answers. Here whatever
//! was cut short is dropped.

use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use brewline_notification_domain::{MailAnswer, Message};
use lettre::Address;
use lettre::address::Envelope;
use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::extension::ClientId;

/// A connection unused for longer is closed: servers close theirs too, after five minutes or less.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// How mails are sent.
#[derive(Clone, Debug)]
pub struct MailSettings {
    /// The mail server.
    pub server: SmtpServer,
    /// Who mails come from.
    pub from: Mailbox,
    /// Mails on their way at once.
    pub connections_max: usize,
    /// Mails handed in a second.
    pub per_second_max: u32,
    /// How long handing in one mail may take.
    pub timeout: Duration,
}

/// Where the mail server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmtpServer {
    host: String,
    port: u16,
}

/// Why a text is no mail server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a mail server is `smtp://host:port`")]
pub struct InvalidSmtpServer;

/// A mail, complete.
#[derive(Clone, Debug)]
pub struct Mail {
    /// Who gets it.
    pub to: String,
    /// Its name: every repeat carries the same.
    pub message_id: String,
    /// What it says.
    pub text: Message,
}

/// Hands mails in.
pub struct Mailer {
    settings: MailSettings,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    connection: AsyncSmtpConnection,
    since: Instant,
}

// === impl SmtpServer ===

impl FromStr for SmtpServer {
    type Err = InvalidSmtpServer;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = text.strip_prefix("smtp://").ok_or(InvalidSmtpServer)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = rest.rsplit_once(':').ok_or(InvalidSmtpServer)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = port.parse().map_err(|_| InvalidSmtpServer)?;
        if host.is_empty() {
            return Err(InvalidSmtpServer);
        }
        let host = host.to_owned();
        Ok(Self { host, port })
    }
}

// === impl Mailer ===

impl Mailer {
    /// A mailer that connects when there is a mail.
    #[must_use]
    pub const fn new(settings: MailSettings) -> Self {
        let idle = Mutex::new(Vec::new());
        Self { settings, idle }
    }

    /// Hands a mail in. What is answered never holds the address: servers like to repeat it.
    pub async fn send(&self, mail: &Mail) -> MailAnswer {
        let Some((envelope, text)) = self.compose(mail) else {
            return MailAnswer::Never("the address is none".to_owned());
        };
        let handed_in = self.hand_in(&envelope, &text);
        match tokio::time::timeout(self.settings.timeout, handed_in).await {
            Ok(Ok(())) => MailAnswer::Taken,
            Ok(Err(answer)) => answer,
            Err(_) => {
                let ms = self.settings.timeout.as_millis();
                MailAnswer::NotNow(format!("the mail server did not answer within {ms} ms"))
            }
        }
    }

    fn compose(&self, mail: &Mail) -> Option<(Envelope, Vec<u8>)> {
        let to: Address = mail.to.parse().ok()?;
        let from = self.settings.from.clone();
        let envelope = Envelope::new(Some(from.email.clone()), vec![to.clone()]).ok()?;
        let message = lettre::Message::builder()
            .message_id(Some(mail.message_id.clone()))
            .from(from)
            .to(Mailbox::new(None, to))
            .subject(mail.text.subject.clone())
            .header(ContentType::TEXT_PLAIN)
            .body(mail.text.body.clone())
            .ok()?;
        Some((envelope, message.formatted()))
    }

    async fn hand_in(&self, envelope: &Envelope, text: &[u8]) -> Result<(), MailAnswer> {
        let mut connection = match self.take() {
            Some(connection) => connection,
            None => self.connect().await.map_err(|error| unreachable(&error))?,
        };
        let sent = connection.send(envelope, text).await;
        sent.map_err(|error| refused(&error))?;
        self.give_back(connection);
        Ok(())
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, SmtpError> {
        let SmtpServer { host, port } = &self.settings.server;
        let hello = ClientId::default();
        let within = Some(self.settings.timeout);
        AsyncSmtpConnection::connect_tokio1((host.as_str(), *port), within, &hello, None, None)
            .await
    }

    /// The connection used last: the others may grow old.
    fn take(&self) -> Option<AsyncSmtpConnection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|idle| idle.since.elapsed() < IDLE_MAX);
        idle.pop().map(|idle| idle.connection)
    }

    fn give_back(&self, connection: AsyncSmtpConnection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if !connection.has_broken() && idle.len() < self.settings.connections_max {
            let since = Instant::now();
            idle.push(Idle { connection, since });
        }
    }
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailer").finish_non_exhaustive()
    }
}

/// Nobody was asked about this mail: whatever it was, it passes.
fn unreachable(error: &SmtpError) -> MailAnswer {
    match error.status() {
        Some(code) => MailAnswer::Away(format!("the mail server greeted with {code}")),
        None => MailAnswer::Away("the mail server is not reached".to_owned()),
    }
}

/// A connection that broke says nothing: the server may have the mail. What this side did not even hand in
/// never can be: it needs what the server does not speak, such as an address beyond ASCII.
fn refused(error: &SmtpError) -> MailAnswer {
    match error.status() {
        Some(code) if error.is_permanent() => {
            MailAnswer::Never(format!("the mail server answered {code}"))
        }
        Some(code) => MailAnswer::NotNow(format!("the mail server answered {code}")),
        None if error.is_client() => {
            MailAnswer::Never("the mail server does not take such an address".to_owned())
        }
        None => MailAnswer::NotNow("the connection to the mail server broke".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_urls() {
        for right in [
            "smtp://127.0.0.1:25",
            "smtp://mail:2525/",
            "smtp://[::1]:25",
        ] {
            assert!(right.parse::<SmtpServer>().is_ok(), "{right}");
        }
        for wrong in ["mail:25", "smtp://mail", "smtp://:25", "smtp://mail:x", ""] {
            assert!(wrong.parse::<SmtpServer>().is_err(), "{wrong}");
        }
    }
}
