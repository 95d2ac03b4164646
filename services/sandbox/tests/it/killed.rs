//! The real binary, killed under load: what was answered is there afterwards.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use reqwest::Client;

use crate::processor::{Folder, authorise, client, free_address, json, until};

struct Binary {
    child: Child,
    url: String,
}

impl Binary {
    async fn start(folder: &Folder, listen: SocketAddr) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_brewline-sandbox"))
            .env("BREWLINE_DATA_DIR", folder.path())
            .env("BREWLINE_HTTP_LISTEN", listen.to_string())
            .env("BREWLINE_LOG", "warn")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let it = Self {
            child,
            url: format!("http://{listen}"),
        };
        let client = client();
        until("the processor answers", async || {
            let asked = client.get(format!("{}/ledger?reference=x", it.url));
            asked.send().await.is_ok()
        })
        .await;
        it
    }
}

impl Drop for Binary {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

type Answered = Arc<Mutex<BTreeMap<String, String>>>;

/// Authorises under ever new keys until the processor is gone.
async fn load(client: Client, url: String, worker: usize, answered: Answered) {
    for n in 0.. {
        let key = format!("{worker}-{n}");
        let body = authorise(&key, "tok_ok").to_string();
        let request = client.post(format!("{url}/v1/authorisations")).body(body);
        let sent = request.header("idempotency-key", &key).send().await;
        let Ok(response) = sent else { return };
        if !response.status().is_success() {
            return;
        }
        // The head of an answer without its body is still an answer; the id decides.
        let Ok(body) = response.bytes().await else {
            return;
        };
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let id = body["id"].as_str().unwrap().to_owned();
        answered.lock().unwrap().insert(key, id);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_under_load_loses_nothing_that_was_answered() {
    let (folder, listen) = (Folder::new(), free_address());
    let answered = Answered::default();
    for round in 1..=3 {
        let mut it = Binary::start(&folder, listen).await;
        let client = Client::new();
        let workers = tokio_util::task::TaskTracker::new();
        for n in 0..32 {
            let (client, answered) = (client.clone(), Arc::clone(&answered));
            workers.spawn(load(client, it.url.clone(), round * 100 + n, answered));
        }
        let enough = round * 300;
        until("enough was answered", async || {
            answered.lock().unwrap().len() >= enough
        })
        .await;
        it.child.kill().unwrap();
        it.child.wait().unwrap();
        workers.close();
        workers.wait().await;
    }
    let it = Binary::start(&folder, listen).await;
    let client = Client::new();
    let text = client
        .get(format!("{}/ledger", it.url))
        .send()
        .await
        .unwrap();
    let text = text.text().await.unwrap();
    let kept: BTreeMap<String, String> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|line| {
            let text = |name: &str| line[name].as_str().unwrap().to_owned();
            (text("key"), text("authorisationId"))
        })
        .collect();
    assert_eq!(kept.len(), text.lines().count(), "a key made two entries");
    let answered = answered.lock().unwrap().clone();
    assert!(answered.len() >= 900);
    for (key, id) in &answered {
        assert_eq!(kept.get(key), Some(id), "{key} was answered and is lost");
    }
    let (key, id) = answered.iter().next().unwrap();
    let again = client
        .post(format!("{}/v1/authorisations", it.url))
        .header("idempotency-key", key)
        .body(authorise(key, "tok_ok").to_string());
    let again = json(again.send().await.unwrap()).await;
    assert_eq!(
        again["id"].as_str(),
        Some(id.as_str()),
        "the key is remembered"
    );
}
