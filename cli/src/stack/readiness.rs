//! Asks processes whether they are ready, from outside, as a kubelet would.

use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;

use super::plan::Probe;
use super::ports::loopback;

/// A probe that takes longer counts as a no.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// A request for the broker's API versions: the one request that is answered before a login, and
/// only by a broker that has finished starting. Length, API key 18, version 0, correlation id 1,
/// no client id.
const API_VERSIONS_REQUEST: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff];

/// Whether a process answers its probe with a yes.
pub async fn is_ready(http: &reqwest::Client, probe: &Probe) -> bool {
    let answer = async {
        match probe {
            Probe::Running => Ok(true),
            Probe::Http(url) => Ok(http.get(url).send().await?.status().is_success()),
            Probe::Kafka(port) => kafka_answers(*port).await,
            Probe::Postgres(program, port) => postgres_answers(program, *port).await,
        }
    };
    let answer: Result<anyhow::Result<bool>, _> = timeout(PROBE_TIMEOUT, answer).await;
    matches!(answer, Ok(Ok(true)))
}

async fn kafka_answers(port: u16) -> anyhow::Result<bool> {
    let mut stream = TcpStream::connect(loopback(port)).await?;
    stream.write_all(&API_VERSIONS_REQUEST).await?;
    let mut answer = [0; 10];
    stream.read_exact(&mut answer).await?;
    // Four bytes of length, four of correlation id, two of error code.
    Ok(answer.ends_with(&[0, 0, 0, 1, 0, 0]))
}

async fn postgres_answers(program: &std::path::Path, port: u16) -> anyhow::Result<bool> {
    let status = Command::new(program)
        .args(["--quiet", "--host=127.0.0.1", "--port"])
        .arg(port.to_string())
        .args(["--dbname=postgres", "--username=postgres"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await
        .context("run pg_isready")?;
    Ok(status.success())
}
