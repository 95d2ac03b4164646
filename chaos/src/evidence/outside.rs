use brewline_kernel::Timestamp;
use serde::Deserialize;
use uuid::Uuid;

/// A mail as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Its Message-ID, as far as the `@`: the delivery's id.
    pub message_id: String,
    /// When it arrived.
    pub at: Timestamp,
}

/// A call as the webhook receiver wrote it down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookCall {
    /// The receiver's name.
    pub hook: String,
    /// What a receiver tells two messages apart by.
    pub webhook_id: String,
    /// The order it tells about.
    pub order: Option<Uuid>,
    /// What it tells.
    pub kind: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MailLine {
    at: String,
    message_id: String,
}

#[derive(Deserialize)]
struct HookLine {
    #[serde(default)]
    headers: serde_json::Value,
    #[serde(default)]
    body: String,
}

/// The mailbox, from the NDJSON that it serves.
pub(super) fn mails(text: &str) -> Result<Vec<Mail>, String> {
    let mail = |line: &str| {
        let line: MailLine = serde_json::from_str(line).map_err(|e| format!("mail: {e}"))?;
        let id = line.message_id.trim().trim_matches(['<', '>']);
        let at: jiff::Timestamp = line.at.parse().map_err(|e| format!("mail: {e}"))?;
        Ok(Mail {
            message_id: id.split('@').next().unwrap_or(id).to_owned(),
            at: Timestamp::from_micros(at.as_microsecond()),
        })
    };
    lines(text).map(mail).collect()
}

/// The calls that the receiver `hook` got, from the NDJSON that it serves. A body that is no event tells
/// of no order.
pub(super) fn calls(hook: &str, text: &str) -> Result<Vec<HookCall>, String> {
    let call = |line: &str| {
        let line: HookLine = serde_json::from_str(line).map_err(|e| format!("hook {hook}: {e}"))?;
        let body: serde_json::Value = serde_json::from_str(&line.body).unwrap_or_default();
        let text = |value: Option<&serde_json::Value>| {
            value
                .and_then(|value| value.as_str())
                .unwrap_or_default()
                .to_owned()
        };
        let order = text(body.pointer("/data/orderId").or(body.get("orderId")));
        Ok(HookCall {
            hook: hook.to_owned(),
            webhook_id: text(line.headers.get("webhook-id")),
            order: order.parse().ok(),
            kind: text(body.get("type")),
        })
    };
    lines(text).map(call).collect()
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_is_known_by_the_delivery_that_it_names() {
        let line =
            r#"{"at":"2026-01-31T23:30:00Z","to":"a@b","messageId":"<d1@brewline>","headers":{}}"#;
        let mails = mails(&format!("{line}\n\n{line}\n")).unwrap();
        assert_eq!((mails.len(), mails[0].message_id.as_str()), (2, "d1"));
        assert!(super::mails("{}").is_err());
    }

    #[test]
    fn a_call_tells_its_order() {
        let order = Uuid::from_u128(7);
        let body = format!(r#"{{"type":"order.ready","data":{{"orderId":"{order}"}}}}"#);
        let line = serde_json::json!({ "headers": { "webhook-id": "w" }, "body": body });
        let calls = calls("till", &line.to_string()).unwrap();
        let wanted = HookCall {
            hook: "till".to_owned(),
            webhook_id: "w".to_owned(),
            order: Some(order),
            kind: "order.ready".to_owned(),
        };
        assert_eq!(calls, [wanted]);
    }
}
