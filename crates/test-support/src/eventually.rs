use std::time::{Duration, Instant};

/// How often a condition is asked.
const INTERVAL: Duration = Duration::from_millis(10);

/// Waits until the condition holds, at most 10 s.
///
/// # Panics
/// When it does not hold by then.
pub async fn eventually(what: &str, condition: impl AsyncFnMut() -> bool) {
    eventually_within(Duration::from_secs(10), what, condition).await;
}

/// Waits until the condition holds, at most `deadline`.
///
/// # Panics
/// When it does not hold by then, with `what` was waited for.
pub async fn eventually_within(
    deadline: Duration,
    what: &str,
    mut condition: impl AsyncFnMut() -> bool,
) {
    let began = Instant::now();
    while !condition().await {
        assert!(
            began.elapsed() < deadline,
            "waited {deadline:?} in vain: {what}"
        );
        tokio::time::sleep(INTERVAL).await;
    }
}
