use std::collections::BTreeMap;

use serde::Serialize;

/// A mail as one recipient got it: a line of the mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Mail {
    at: String,
    to: String,
    from: String,
    message_id: String,
    subject: String,
    /// By name in lower case; those of the same name are joined by a comma.
    headers: BTreeMap<String, String>,
    body: String,
}

// === impl Mail ===

impl Mail {
    /// The text of a mail, once for each recipient.
    pub(super) fn parse(from: &str, to: &[String], text: &[u8], at: &str) -> Vec<Self> {
        let text = String::from_utf8_lossy(text);
        let (head, body) = match text.split_once("\r\n\r\n") {
            Some((head, body)) => (head, body),
            None => (text.trim_end(), ""),
        };
        let headers = headers(head);
        let header = |name: &str| headers.get(name).cloned().unwrap_or_default();
        let mail = Self {
            at: at.to_owned(),
            to: String::new(),
            from: from.to_owned(),
            message_id: header("message-id"),
            subject: header("subject"),
            body: body.to_owned(),
            headers,
        };
        let addressed = |to: &String| Self {
            to: to.clone(),
            ..mail.clone()
        };
        to.iter().map(addressed).collect()
    }
}

/// A line that begins with a blank goes on with the one before it.
fn headers(head: &str) -> BTreeMap<String, String> {
    let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in unfolded
        .split("\r\n")
        .filter_map(|line| line.split_once(':'))
    {
        let value = value.trim();
        headers
            .entry(name.trim().to_ascii_lowercase())
            .and_modify(|known| {
                known.push_str(", ");
                known.push_str(value);
            })
            .or_insert_with(|| value.to_owned());
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_is_read_once_for_each_recipient() {
        let text =
            b"Message-ID: <1@x>\r\nSubject: a\r\n b\r\nX: 1\r\nX: 2\r\n\r\nhello\r\n\r\nyou\r\n";
        let to = ["c@d".to_owned(), "e@f".to_owned()];
        let mails = Mail::parse("a@b", &to, text, "now");
        assert_eq!(mails.len(), 2);
        assert_eq!(mails[1].to, "e@f");
        assert_eq!(
            (&*mails[0].message_id, &*mails[0].subject),
            ("<1@x>", "a b")
        );
        assert_eq!(mails[0].headers["x"], "1, 2");
        assert_eq!(mails[0].body, "hello\r\n\r\nyou\r\n");
    }
}
