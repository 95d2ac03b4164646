//! What the kernel knows of this process, read at each scrape.

use std::fmt;
use std::sync::LazyLock;
use std::time::Instant;

use crate::metrics::{self, Scraped, Tell};

/// Clock ticks a second in `/proc`: fixed at 100 in Linux's user-space ABI.
const TICKS_PER_SECOND: f64 = 100.0;
/// Bytes a page: that of the platforms there are images for.
const PAGE_BYTES: u64 = 4_096;

static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Reads `/proc/self` when asked.
#[derive(Debug)]
struct Process {
    service: &'static str,
    instance: String,
}

/// Has it told who this process is and what it uses.
pub(crate) fn tell(service: &'static str, instance: &str) {
    LazyLock::force(&STARTED);
    let instance = instance.to_owned();
    metrics::at_scrape(Process { service, instance });
}

impl Scraped for Process {
    fn tell(&self, tell: &mut Tell<'_>) -> fmt::Result {
        let who = [
            ("service_name", self.service),
            ("service_instance_id", &*self.instance),
            ("service_version", env!("CARGO_PKG_VERSION")),
        ];
        tell.info("target", "Who this process is; always 1", &who)?;
        if let Some(seconds) = cpu_seconds() {
            tell.counter(
                "process_cpu_time_seconds",
                "Processor time used, in user and system mode",
                seconds,
            )?;
        }
        if let Some(bytes) = resident_bytes() {
            tell.gauge(
                "process_memory_usage_bytes",
                "Resident memory",
                &[([], bytes)],
            )?;
        }
        tell.gauge(
            "process_uptime_seconds",
            "Time since the process began to measure",
            &[([], STARTED.elapsed().as_secs_f64())],
        )
    }
}

#[allow(
    clippy::float_arithmetic,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "a metric is a floating-point number"
)]
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The command's name stands in parentheses and may hold spaces; what follows is numbered.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user.saturating_add(system) as f64 / TICKS_PER_SECOND)
}

#[allow(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "a metric is a floating-point number"
)]
fn resident_bytes() -> Option<f64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages.checked_mul(PAGE_BYTES)? as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_read() {
        assert!(cpu_seconds().unwrap() >= 0.0);
        assert!(resident_bytes().unwrap() > 100_000.0);
    }
}
