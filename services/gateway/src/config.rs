use std::net::SocketAddr;
use std::time::Duration;

use brewline_config::{Environment, Variable};

const HTTP_LISTEN: Variable = Variable {
    name: "BREWLINE_HTTP_LISTEN",
    default: Some("127.0.0.1:8080"),
    help: "Where REST is served. Loopback, since there is no identity yet.",
};
const ALLOW_ANONYMOUS_NETWORK: Variable = Variable {
    name: "BREWLINE_ALLOW_ANONYMOUS_NETWORK",
    default: Some("false"),
    help: "`true` lets the gateway listen beyond loopback although everybody is anonymous: whoever \
           reaches it may do everything. For a network that is closed by other means.",
};
const ORDER_URL: Variable = Variable {
    name: "BREWLINE_ORDER_URL",
    default: None,
    help: "The service order: `http://host:port`, or `file:///path/endpoints.json#order`.",
};
const INVENTORY_URL: Variable = Variable {
    name: "BREWLINE_INVENTORY_URL",
    default: None,
    help: "The service inventory: `http://host:port`, or `file:///path/endpoints.json#inventory`.",
};
const BARISTA_URL: Variable = Variable {
    name: "BREWLINE_BARISTA_URL",
    default: None,
    help: "The service barista: `http://host:port`, or `file:///path/endpoints.json#barista`.",
};
const NOTIFICATION_URL: Variable = Variable {
    name: "BREWLINE_NOTIFICATION_URL",
    default: None,
    help: "The service notification: `http://host:port`, or \
           `file:///path/endpoints.json#notification`.",
};
const LEADERBOARD_URL: Variable = Variable {
    name: "BREWLINE_LEADERBOARD_URL",
    default: None,
    help: "The service leaderboard: `http://host:port`, or \
           `file:///path/endpoints.json#leaderboard`.",
};
const CONNECTIONS_MAX: Variable = Variable {
    name: "BREWLINE_CONNECTIONS_MAX",
    default: Some("10000"),
    help: "How many connections may be open; more wait in the system's queue. 10,000 take about \
           200 MiB at worst.",
};
const REQUESTS_MAX: Variable = Variable {
    name: "BREWLINE_REQUESTS_MAX",
    default: Some("1000"),
    help: "How many requests may be in flight; more are answered 503 at once. At 2,000 a second it \
           is half a second of work: who comes later would not be served in time anyway.",
};
const WAITING_REQUESTS_MAX: Variable = Variable {
    name: "BREWLINE_WAITING_REQUESTS_MAX",
    default: Some("5000"),
    help: "How many reads may wait (`Prefer: wait=N`); more are answered 503 at once. They cost \
           memory, not work, and have a limit of their own so that they never crowd orders out.",
};
const STREAMS_MAX: Variable = Variable {
    name: "BREWLINE_STREAMS_MAX",
    default: Some("2000"),
    help: "How many streams (server-sent events, WebSockets) may be open; more are answered 503 at \
           once. Each costs a connection here and a call behind the edge: 2,000 take about 60 MiB.",
};
const REQUEST_TIMEOUT_MS: Variable = Variable {
    name: "BREWLINE_REQUEST_TIMEOUT_MS",
    default: Some("5000"),
    help: "How long a request may take, without what the caller asks to wait, in milliseconds. 5 s \
           is more patience than a person has.",
};
const HEADER_READ_TIMEOUT_MS: Variable = Variable {
    name: "BREWLINE_HEADER_READ_TIMEOUT_MS",
    default: Some("30000"),
    help: "How long the head of a request may take to arrive, in milliseconds; idle connections end \
           after it too. 30 s suits slow phones and connection pools.",
};
const BODY_READ_TIMEOUT_MS: Variable = Variable {
    name: "BREWLINE_BODY_READ_TIMEOUT_MS",
    default: Some("4000"),
    help: "How long a body (at most 64 KiB) may take to arrive, in milliseconds. Less than the whole \
           request may take, so that the caller is told what was slow.",
};

/// The settings of this service.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where REST is served.
    pub listen: SocketAddr,
    /// The service `order`.
    pub order_url: String,
    /// The service `inventory`.
    pub inventory_url: String,
    /// The service `barista`.
    pub barista_url: String,
    /// The service `notification`.
    pub notification_url: String,
    /// The service `leaderboard`.
    pub leaderboard_url: String,
    /// How many connections may be open.
    pub connections_max: usize,
    /// How many requests may be in flight.
    pub requests_max: usize,
    /// How many reads may wait.
    pub waiting_requests_max: usize,
    /// How many streams may be open.
    pub streams_max: usize,
    /// How long a request may take, without what the caller asks to wait.
    pub request_timeout: Duration,
    /// How long a request's head may take to arrive.
    pub header_read_timeout: Duration,
    /// How long a request's body may take to arrive.
    pub body_read_timeout: Duration,
}

/// Reads the settings; `None` when some are missing or malformed.
pub fn read(env: &mut Environment) -> Option<Config> {
    let listen = listen(env);
    let (order_url, inventory_url) = (env.read(&ORDER_URL), env.read(&INVENTORY_URL));
    let barista_url = env.read(&BARISTA_URL);
    let notification_url = env.read(&NOTIFICATION_URL);
    let leaderboard_url = env.read(&LEADERBOARD_URL);
    let connections_max = env.read(&CONNECTIONS_MAX);
    let requests_max = env.read(&REQUESTS_MAX);
    let waiting_requests_max = env.read(&WAITING_REQUESTS_MAX);
    let streams_max = env.read(&STREAMS_MAX);
    let request_timeout = env.millis(&REQUEST_TIMEOUT_MS);
    let header_read_timeout = env.millis(&HEADER_READ_TIMEOUT_MS);
    let body_read_timeout = env.millis(&BODY_READ_TIMEOUT_MS);
    Some(Config {
        listen: listen?,
        order_url: order_url?,
        inventory_url: inventory_url?,
        barista_url: barista_url?,
        notification_url: notification_url?,
        leaderboard_url: leaderboard_url?,
        connections_max: connections_max?,
        requests_max: requests_max?,
        waiting_requests_max: waiting_requests_max?,
        streams_max: streams_max?,
        request_timeout: request_timeout?,
        header_read_timeout: header_read_timeout?,
        body_read_timeout: body_read_timeout?,
    })
}

/// The address, refused when it lets strangers in.
fn listen(env: &mut Environment) -> Option<SocketAddr> {
    let listen: Option<SocketAddr> = env.read(&HTTP_LISTEN);
    let allowed: Option<bool> = env.read(&ALLOW_ANONYMOUS_NETWORK);
    let (listen, allowed) = (listen?, allowed?);
    if !listen.ip().is_loopback() && !allowed {
        env.fault(format!(
            "{} is {listen}, which is not loopback: everybody who reaches it could do everything, \
             since there is no identity yet. {}={}",
            HTTP_LISTEN.name, ALLOW_ANONYMOUS_NETWORK.name, ALLOW_ANONYMOUS_NETWORK.help
        ));
        return None;
    }
    Some(listen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(listen: &str, allowed: &str) -> Result<Config, brewline_config::Faults> {
        let mut env = Environment::from_pairs([
            ("BREWLINE_HTTP_LISTEN", listen),
            ("BREWLINE_ALLOW_ANONYMOUS_NETWORK", allowed),
            ("BREWLINE_ORDER_URL", "http://127.0.0.1:1"),
            ("BREWLINE_INVENTORY_URL", "http://127.0.0.1:2"),
            ("BREWLINE_BARISTA_URL", "http://127.0.0.1:3"),
            ("BREWLINE_NOTIFICATION_URL", "http://127.0.0.1:4"),
            ("BREWLINE_LEADERBOARD_URL", "http://127.0.0.1:5"),
        ]);
        let config = read(&mut env);
        env.finish(config)
    }

    #[test]
    fn strangers_are_let_in_only_when_that_is_wanted() {
        assert!(with("127.0.0.1:8080", "").is_ok());
        assert!(with("[::1]:8080", "").is_ok());
        let refused = with("0.0.0.0:8080", "").unwrap_err().to_string();
        assert!(refused.contains("not loopback"), "{refused}");
        assert!(refused.contains(ALLOW_ANONYMOUS_NETWORK.name), "{refused}");
        assert!(with("0.0.0.0:8080", "true").is_ok());
    }
}
