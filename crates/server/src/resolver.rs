use std::collections::BTreeSet;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc::Sender;
use tokio_util::sync::CancellationToken;
use tonic::transport::Endpoint;
use tonic::transport::channel::Change;

use crate::client;

/// Where the addresses of a service's replicas are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A name and port in DNS.
    Dns(String),
    /// A service's entry in a file of endpoints.
    File { path: PathBuf, service: String },
}

/// Why a URL names no service.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither `http://host:port` nor `file:///path/endpoints.json#service`")]
pub struct InvalidUrl(String);

/// How often DNS is asked. New pods take a few seconds to become ready anyway.
const DNS_INTERVAL: Duration = Duration::from_secs(5);

/// How often a file is read: it is small, and a process that died should be left alone soon.
const FILE_INTERVAL: Duration = Duration::from_millis(250);

// === impl Source ===

impl FromStr for Source {
    type Err = InvalidUrl;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidUrl(url.to_owned());
        if let Some(rest) = url.strip_prefix("file://") {
            let (path, service) = rest.split_once('#').ok_or_else(invalid)?;
            return Ok(Self::File {
                path: path.into(),
                service: service.to_owned(),
            });
        }
        let authority = url
            .strip_prefix("http://")
            .ok_or_else(invalid)?
            .trim_end_matches('/');
        let port = authority
            .rsplit_once(':')
            .and_then(|(_, port)| port.parse::<u16>().ok());
        port.map(|_| Self::Dns(authority.to_owned()))
            .ok_or_else(invalid)
    }
}

impl Source {
    const fn interval(&self) -> Duration {
        match self {
            Self::Dns(_) => DNS_INTERVAL,
            Self::File { .. } => FILE_INTERVAL,
        }
    }

    /// The addresses now; none when they cannot be told, which must not drop those known.
    async fn addresses(&self) -> Option<BTreeSet<String>> {
        let found: BTreeSet<String> = match self {
            Self::Dns(authority) => tokio::net::lookup_host(authority)
                .await
                .ok()?
                .map(|a| a.to_string())
                .collect(),
            Self::File { path, service } => {
                addresses_in(&tokio::fs::read_to_string(path).await.ok()?, service)?
            }
        };
        (!found.is_empty()).then_some(found)
    }
}

/// Tells `changes` of every replica that comes or goes, until shutdown.
pub(crate) async fn follow(
    source: Source,
    changes: Sender<Change<String, Endpoint>>,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let mut known = BTreeSet::new();
    loop {
        if let Some(now) = source.addresses().await {
            for change in differences(&known, &now) {
                // The receiver is gone once the last clone of the channel is: nobody asks any more.
                if changes.send(change).await.is_err() {
                    return Ok(());
                }
            }
            known = now;
        }
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(source.interval()) => {}
        }
    }
}

fn differences(known: &BTreeSet<String>, now: &BTreeSet<String>) -> Vec<Change<String, Endpoint>> {
    let come = now
        .difference(known)
        .filter_map(|address| Some(Change::Insert(address.clone(), client::endpoint(address)?)));
    let gone = known
        .difference(now)
        .map(|address| Change::Remove(address.clone()));
    come.chain(gone).collect()
}

fn addresses_in(text: &str, service: &str) -> Option<BTreeSet<String>> {
    let endpoints: Value = serde_json::from_str(text).ok()?;
    let instances = endpoints
        .get("services")?
        .get(service)?
        .get("instances")?
        .as_array()?;
    let address = |instance: &Value| {
        let url = instance.get("grpc")?.as_str()?;
        Some(url.trim_start_matches("http://").to_owned())
    };
    Some(instances.iter().filter_map(address).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read() {
        assert_eq!(
            "http://order:9000".parse(),
            Ok(Source::Dns("order:9000".to_owned()))
        );
        let file = Source::File {
            path: "/x/endpoints.json".into(),
            service: "order".to_owned(),
        };
        assert_eq!("file:///x/endpoints.json#order".parse(), Ok(file));
        for wrong in ["order:9000", "http://order", "file:///x/endpoints.json", ""] {
            assert!(wrong.parse::<Source>().is_err(), "{wrong} was taken");
        }
    }

    #[test]
    fn addresses_are_those_of_the_service() {
        let text = r#"{"services":{"order":{"instances":[
            {"grpc":"http://127.0.0.1:1"},{"grpc":"127.0.0.1:2"}]}}}"#;
        let found = addresses_in(text, "order").unwrap();
        assert_eq!(
            found.into_iter().collect::<Vec<_>>(),
            ["127.0.0.1:1", "127.0.0.1:2"]
        );
        assert_eq!(addresses_in(text, "payment"), None);
    }
}
