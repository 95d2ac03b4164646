//! Asks processes whether they are ready, from outside, as a kubelet would.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::plan::Probe;
use super::ports::loopback;

/// A probe that takes longer counts as a no.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// A request for the broker's API versions: the one request that is answered before a login, and
/// only by a broker that has finished starting. Length, API key 18, version 0, correlation id 1,
/// no client id.
const API_VERSIONS_REQUEST: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff];

/// The first message of a client: length, protocol 3.0, user, database.
const POSTGRES_STARTUP: &[u8] = b"\0\0\0\x29\0\x03\0\0user\0postgres\0database\0postgres\0\0";

/// No honest first answer is longer.
const ANSWER_BYTES_MAX: u32 = 4096;

/// Whether a process answers its probe with a yes.
pub async fn is_ready(http: &reqwest::Client, probe: &Probe) -> bool {
    let answer = async {
        match probe {
            Probe::Running => Ok(true),
            Probe::Http(url) => Ok(http.get(url).send().await?.status().is_success()),
            Probe::Kafka(port) => kafka_answers(*port).await,
            Probe::Postgres(port) => postgres_answers(*port).await,
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

/// Asks for a login as far as the server's question for the password: a server that is starting or
/// stopping answers with an error instead.
async fn postgres_answers(port: u16) -> anyhow::Result<bool> {
    let mut stream = TcpStream::connect(loopback(port)).await?;
    stream.write_all(POSTGRES_STARTUP).await?;
    let mut head = [0; 5];
    stream.read_exact(&mut head).await?;
    let [kind, length @ ..] = head;
    // Read to its end: a socket closed with bytes unread is reset, and the server would log that.
    let rest = u32::from_be_bytes(length)
        .saturating_sub(4)
        .min(ANSWER_BYTES_MAX);
    stream
        .take(u64::from(rest))
        .read_to_end(&mut vec![])
        .await?;
    Ok(kind == b'R')
}
