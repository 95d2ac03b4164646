use brewline_kernel::Timestamp;
use serde::Deserialize;
use uuid::Uuid;

/// A mail as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Its Message-ID.
    pub message_id: String,
    /// The order and the kind that its Message-ID begins with; none of a stranger's mail.
    pub about: Option<(Uuid, String)>,
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
        let about = about(&line.message_id);
        let at: jiff::Timestamp = line.at.parse().map_err(|e| format!("mail: {e}"))?;
        Ok(Mail {
            message_id: line.message_id,
            about,
            at: Timestamp::from_micros(at.as_microsecond()),
        })
    };
    lines(text).map(mail).collect()
}

/// `<ORDER.KIND@…>`, whatever may stand behind the kind.
fn about(message_id: &str) -> Option<(Uuid, String)> {
    let id = message_id.trim().trim_matches(['<', '>']);
    let (local, _) = id.split_once('@')?;
    let mut parts = local.split('.');
    let (order, kind) = (parts.next()?.parse().ok()?, parts.next()?);
    Some((order, kind.to_owned()))
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
    fn a_mail_is_known_by_the_order_and_the_kind_that_it_names() {
        let order = Uuid::from_u128(7);
        let line = |id: &str| format!(r#"{{"at":"2026-01-31T23:30:00Z","messageId":"{id}"}}"#);
        let ids = [
            format!("<{order}.ready@brewline>"),
            format!("<{order}.ready.2@b>"),
            "<x@y>".to_owned(),
        ];
        let text = ids.map(|id| line(&id)).join("\n\n");
        let mails = mails(&text).unwrap();
        let about = |mail: &Mail| mail.about.clone();
        let ready = Some((order, "ready".to_owned()));
        assert_eq!(
            mails.iter().map(about).collect::<Vec<_>>(),
            [ready.clone(), ready, None]
        );
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
