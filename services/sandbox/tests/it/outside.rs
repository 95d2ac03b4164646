//! The mailbox and the receiver of webhooks.

use std::net::SocketAddr;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::processor::{PATIENCE, Processor, until};

/// A client of the mailbox that says everything by hand.
struct Talk(BufReader<TcpStream>);

impl Talk {
    async fn open(at: SocketAddr) -> Self {
        let mut talk = Self(BufReader::new(TcpStream::connect(at).await.unwrap()));
        assert_eq!(talk.answer().await.unwrap(), "220");
        talk
    }

    async fn say(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).await.unwrap();
    }

    /// The code of the next reply.
    async fn answer(&mut self) -> std::io::Result<String> {
        loop {
            let mut line = String::new();
            let read = self.0.read_line(&mut line);
            let read = tokio::time::timeout(PATIENCE, read).await.unwrap()?;
            if read == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            if line.as_bytes()[3] == b' ' {
                return Ok(line[..3].to_owned());
            }
        }
    }

    /// The answer to a whole mail, sent in one go as a pipelining client does.
    async fn mail(&mut self, to: &str, body: &str) -> std::io::Result<String> {
        self.say(&format!(
            "EHLO me\r\nMAIL FROM:<shop@brewline>\r\nRCPT TO:<{to}>\r\nDATA\r\n"
        ))
        .await;
        for wanted in ["250", "250", "250", "354"] {
            assert_eq!(self.answer().await?, wanted);
        }
        self.say(&format!(
            "Message-ID: <1@brewline>\r\nSubject: hello\r\n\r\n{body}\r\n.\r\n"
        ))
        .await;
        self.answer().await
    }
}

async fn lines(it: &Processor, path: &str) -> Vec<Value> {
    let text = it.get(path).await.text().await.unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn a_mail_is_kept_and_shown_by_address() {
    let it = Processor::start().await;
    let mut talk = Talk::open(it.smtp).await;
    assert_eq!(
        talk.mail("a@b.example", "one\r\n..two").await.unwrap(),
        "250"
    );
    assert_eq!(talk.mail("c@d.example", "x").await.unwrap(), "250");
    let mails = lines(&it, "/mailbox?to=a@b.example").await;
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0]["messageId"], "<1@brewline>");
    assert_eq!(mails[0]["subject"], "hello");
    assert_eq!(mails[0]["body"], "one\r\n.two\r\n");
    assert_eq!(mails[0].get("check"), None);
    assert_eq!(lines(&it, "/mailbox").await.len(), 2);
    let url = format!("{}/mailbox", it.control);
    let emptied = it.client.delete(url).send().await.unwrap();
    assert_eq!(emptied.status(), StatusCode::NO_CONTENT);
    assert!(lines(&it, "/mailbox").await.is_empty());
}

#[tokio::test]
async fn a_mail_is_refused_now_or_for_good_as_told() {
    let it = Processor::start().await;
    it.tell("mail", json!({ "mode": "error", "count": 1 }))
        .await;
    let mut talk = Talk::open(it.smtp).await;
    assert_eq!(talk.mail("a@b.example", "x").await.unwrap(), "451");
    let told = json!({ "mode": "error", "status": 550, "count": 1 });
    it.tell("mail", told).await;
    assert_eq!(talk.mail("a@b.example", "x").await.unwrap(), "550");
    assert!(lines(&it, "/mailbox").await.is_empty());
    assert_eq!(talk.mail("a@b.example", "x").await.unwrap(), "250");
}

#[tokio::test]
async fn a_reset_after_data_keeps_the_mail_and_says_nothing() {
    let it = Processor::start().await;
    it.tell("mail", json!({ "mode": "done-then-reset", "count": 1 }))
        .await;
    let mut talk = Talk::open(it.smtp).await;
    let error = talk.mail("a@b.example", "x").await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(lines(&it, "/mailbox").await.len(), 1);
}

#[tokio::test]
async fn a_closed_mailbox_refuses_and_leaves_the_processor_alone() {
    let it = Processor::start().await;
    it.tell("mail", json!({ "mode": "refuse-connection" }))
        .await;
    until("the mailbox is closed", async || {
        TcpStream::connect(it.smtp).await.is_err()
    })
    .await;
    it.authorised("a", "o-1").await;
    it.behave().await;
    until("the mailbox is open", async || {
        TcpStream::connect(it.smtp).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn calls_of_a_hook_are_kept_with_their_headers() {
    let it = Processor::start().await;
    let url = format!("{}/hook/shop", it.url);
    let call = it
        .client
        .post(&url)
        .header("webhook-id", "evt_1")
        .body("{\"a\":1}");
    assert_eq!(call.send().await.unwrap().status(), StatusCode::NO_CONTENT);
    let calls = lines(&it, "/hook/shop").await;
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0]["headers"]["webhook-id"], "evt_1");
    assert_eq!(calls[0]["body"], "{\"a\":1}");
    assert!(lines(&it, "/hook/other").await.is_empty());
    for (status, kept) in [(302, 1), (410, 1), (503, 1)] {
        let told = json!({ "mode": "error", "status": status, "count": 1 });
        it.tell("hook", told).await;
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        let answer = client.post(&url).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status);
        assert_eq!(lines(&it, "/hook/shop").await.len(), kept);
    }
}

#[tokio::test]
async fn a_hook_that_resets_has_kept_the_call() {
    let it = Processor::start().await;
    it.tell("hook", json!({ "mode": "done-then-reset", "count": 1 }))
        .await;
    let url = format!("{}/hook/shop", it.url);
    assert!(it.client.post(&url).send().await.is_err());
    assert_eq!(lines(&it, "/hook/shop").await.len(), 1);
}
