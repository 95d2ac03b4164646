//! The processes of a platform that runs elsewhere, as their admin ports tell: every address behind a
//! service's name is asked. What is not ready has no address there, and is missing from the list.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::{Client, Url};
use serde_json::Value;

use crate::shop;
use crate::stack::Endpoints;
use crate::stack::supervisor::{ProcessReport, StatusReport};

/// Who takes longer is not ready.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Asks everybody at once.
pub(super) async fn report(endpoints: &Endpoints) -> StatusReport {
    let asked = endpoints
        .services
        .iter()
        .filter_map(|(name, service)| Some(replicas(name, service.admin.as_deref()?)));
    let processes: Vec<ProcessReport> = join_all(asked).await.into_iter().flatten().collect();
    let ready = processes.iter().all(|process| process.ready);
    StatusReport {
        ready,
        phase: if ready { "ready" } else { "running" }.to_owned(),
        booted: ready,
        supervisor: 0,
        processes,
    }
}

/// Every replica of a service; one that is not ready when there is none.
async fn replicas(name: &str, admin: &str) -> Vec<ProcessReport> {
    let addresses = addresses(admin).await.unwrap_or_default();
    if addresses.is_empty() {
        return vec![process(name, 1, &Value::Null)];
    }
    let asked = addresses.iter().zip(1..).map(async |(address, instance)| {
        let answer = ready(address).await.unwrap_or_default();
        process(name, instance, &answer)
    });
    join_all(asked).await
}

async fn addresses(admin: &str) -> Option<BTreeSet<String>> {
    let url = Url::parse(admin).ok()?;
    let place = (url.host_str()?.to_owned(), url.port_or_known_default()?);
    let found = tokio::net::lookup_host(place).await.ok()?;
    Some(found.map(|address| address.to_string()).collect())
}

async fn ready(address: &str) -> Option<Value> {
    let client = Client::builder().no_proxy().timeout(ANSWER_WITHIN).build();
    let url = format!("http://{address}/readyz");
    // 503 has a body too.
    client.ok()?.get(url).send().await.ok()?.json().await.ok()
}

fn process(service: &str, instance: u16, answer: &Value) -> ProcessReport {
    ProcessReport {
        service: service.to_owned(),
        instance,
        pid: 0,
        port: None,
        ready: answer.get("ready") == Some(&Value::Bool(true)),
        version: shop::text(answer, "version").to_owned(),
        memory_mib: 0,
        restarts: 0,
        last_end: None,
    }
}
