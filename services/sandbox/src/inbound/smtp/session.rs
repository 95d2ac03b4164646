//! What a mail server says to each command. No I/O.

/// The most recipients of one mail.
const RECIPIENTS_MAX: usize = 100;

/// The longest address (RFC 5321), in bytes.
const ADDRESS_BYTES_MAX: usize = 254;

const GREETING: &str = "250-brewline sandbox\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 1048576";

/// One connection's conversation.
#[derive(Debug, Default)]
pub(super) struct Session {
    greeted: bool,
    from: Option<String>,
    to: Vec<String>,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// Say it.
    Say(String),
    /// Say it and hang up.
    Bye(String),
    /// Read the mail.
    Data,
}

// === impl Session ===

impl Session {
    /// Takes a command line.
    pub(super) fn take(&mut self, line: &[u8]) -> Reply {
        let Ok(text) = std::str::from_utf8(line) else {
            return say("500 not a text");
        };
        let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" | "HELO" if rest.is_empty() => say("501 say who you are"),
            "EHLO" => self.greet(GREETING),
            "HELO" => self.greet("250 brewline sandbox"),
            "NOOP" => say("250 fine"),
            "RSET" => {
                self.reset();
                say("250 forgotten")
            }
            "QUIT" => Reply::Bye("221 bye".to_owned()),
            "MAIL" => self.mail(rest),
            "RCPT" => self.rcpt(rest),
            "DATA" => self.data(),
            _ => say("500 this command is not known here"),
        }
    }

    /// Forgets the mail under way; yields its envelope.
    pub(super) fn reset(&mut self) -> (String, Vec<String>) {
        let from = self.from.take().unwrap_or_default();
        (from, std::mem::take(&mut self.to))
    }

    fn greet(&mut self, greeting: &str) -> Reply {
        self.greeted = true;
        self.reset();
        say(greeting)
    }

    fn mail(&mut self, rest: &str) -> Reply {
        if !self.greeted || self.from.is_some() {
            return say("503 not now");
        }
        match address(rest, "FROM:") {
            None => say("501 MAIL FROM:<address>"),
            Some(from) => {
                self.from = Some(from);
                say("250 fine")
            }
        }
    }

    fn rcpt(&mut self, rest: &str) -> Reply {
        if self.from.is_none() {
            return say("503 first MAIL");
        }
        if self.to.len() >= RECIPIENTS_MAX {
            return say("452 too many recipients");
        }
        match address(rest, "TO:").filter(|to| to.contains('@')) {
            None => say("501 RCPT TO:<address>"),
            Some(to) => {
                self.to.push(to);
                say("250 fine")
            }
        }
    }

    fn data(&self) -> Reply {
        if self.to.is_empty() {
            return say("503 first RCPT");
        }
        Reply::Data
    }
}

fn say(text: &str) -> Reply {
    Reply::Say(text.to_owned())
}

/// The address of `FROM:<a@b> PARAMETERS`; the empty one (`<>`) is that of a bounce.
fn address(rest: &str, keyword: &str) -> Option<String> {
    let (head, tail) = rest.split_at_checked(keyword.len())?;
    let tail = tail
        .trim_start()
        .strip_prefix('<')
        .filter(|_| head.eq_ignore_ascii_case(keyword))?;
    let (address, _) = tail.split_once('>')?;
    let plain = !address.chars().any(|c| c.is_control() || c == ' ');
    (plain && address.len() <= ADDRESS_BYTES_MAX).then(|| address.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(lines: &[&str]) -> Vec<String> {
        let mut session = Session::default();
        let code = |reply| match reply {
            Reply::Say(text) | Reply::Bye(text) => text.chars().take(3).collect(),
            Reply::Data => "354".to_owned(),
        };
        lines
            .iter()
            .map(|line| code(session.take(line.as_bytes())))
            .collect()
    }

    #[test]
    fn commands_come_in_their_order() {
        let said = codes(&[
            "MAIL FROM:<a@b>",
            "EHLO me",
            "RCPT TO:<c@d>",
            "DATA",
            "MAIL FROM:<a@b> BODY=8BITMIME",
            "MAIL FROM:<a@b>",
            "DATA",
            "rcpt to:<c@d>",
            "DATA",
            "RSET",
            "DATA",
            "NOOP",
            "VRFY x",
            "QUIT",
        ]);
        let wanted = [
            "503", "250", "503", "503", "250", "503", "503", "250", "354", "250", "503", "250",
            "500", "221",
        ];
        assert_eq!(said, wanted);
    }

    #[test]
    fn addresses_are_addresses() {
        for (rest, wanted) in [
            ("FROM:<a@b>", Some("a@b")),
            ("from: <a@b> SIZE=3", Some("a@b")),
            ("FROM:<>", Some("")),
            ("FROM:a@b", None),
            ("FROM:<a b>", None),
            ("FR", None),
            ("TO:<a@b>", None),
        ] {
            assert_eq!(address(rest, "FROM:").as_deref(), wanted, "{rest}");
        }
    }
}
