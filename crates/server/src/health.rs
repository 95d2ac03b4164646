use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Whether this process may be sent work (gates) and whether it is stuck (heartbeats).
#[derive(Clone, Debug)]
pub struct Health(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Why each gate is closed; an open one holds none.
    gates: Mutex<BTreeMap<&'static str, Option<String>>>,
    pulses: Mutex<BTreeMap<String, Arc<Pulse>>>,
    draining: AtomicBool,
    started: Instant,
}

/// A condition of readiness. Closed until opened.
#[derive(Clone, Debug)]
pub struct Gate {
    health: Health,
    name: &'static str,
}

/// Proof of life of one loop. Fresh while it beats at least every `stall_after`.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    health: Health,
    pulse: Arc<Pulse>,
}

#[derive(Debug)]
struct Pulse {
    stall_after: Duration,
    /// Milliseconds from the start of the process to the last beat; `PAUSED` while none is due.
    last_ms: AtomicU64,
}

/// The value of a pulse that owes no beat.
const PAUSED: u64 = u64::MAX;

// === impl Health ===

impl Default for Health {
    fn default() -> Self {
        Self(Arc::new(Inner {
            gates: Mutex::default(),
            pulses: Mutex::default(),
            draining: AtomicBool::new(false),
            started: Instant::now(),
        }))
    }
}

impl Health {
    /// A new condition of readiness, closed.
    #[must_use]
    pub fn gate(&self, name: &'static str) -> Gate {
        let gate = Gate {
            health: self.clone(),
            name,
        };
        gate.close("not yet");
        gate
    }

    /// A new proof of life. It is due from now on.
    #[must_use]
    pub fn watch(&self, name: impl Into<String>, stall_after: Duration) -> Heartbeat {
        let pulse = Arc::new(Pulse {
            stall_after,
            last_ms: AtomicU64::new(self.elapsed_ms()),
        });
        let mut pulses = self.0.pulses.lock().unwrap_or_else(PoisonError::into_inner);
        pulses.insert(name.into(), Arc::clone(&pulse));
        Heartbeat {
            health: self.clone(),
            pulse,
        }
    }

    /// No more work, please: the process is about to end.
    pub fn drain(&self) {
        self.0.draining.store(true, Ordering::Release);
    }

    /// Whether the process is about to end.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Acquire)
    }

    /// Why no work may be sent here; empty when it may.
    #[must_use]
    pub fn not_ready(&self) -> BTreeMap<&'static str, String> {
        let gates = self.0.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let mut closed: BTreeMap<_, _> = gates
            .iter()
            .filter_map(|(name, why)| Some((*name, why.clone()?)))
            .collect();
        if self.is_draining() {
            closed.insert("draining", "shutting down".to_owned());
        }
        closed
    }

    /// The loops that have not beaten in time.
    #[must_use]
    pub fn stalled(&self) -> Vec<String> {
        let now = self.elapsed_ms();
        let pulses = self.0.pulses.lock().unwrap_or_else(PoisonError::into_inner);
        pulses
            .iter()
            .filter(|(_, pulse)| pulse.stalled(now))
            .map(|(name, _)| name.clone())
            .collect()
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.0.started.elapsed().as_millis()).unwrap_or(PAUSED - 1)
    }
}

// === impl Gate ===

impl Gate {
    /// The condition holds.
    pub fn open(&self) {
        self.set(None);
    }

    /// The condition does not hold, for this reason.
    pub fn close(&self, reason: impl Into<String>) {
        self.set(Some(reason.into()));
    }

    fn set(&self, reason: Option<String>) {
        let mut gates = self
            .health
            .0
            .gates
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        gates.insert(self.name, reason);
    }
}

// === impl Heartbeat ===

impl Heartbeat {
    /// Still alive.
    pub fn beat(&self) {
        self.pulse
            .last_ms
            .store(self.health.elapsed_ms(), Ordering::Release);
    }

    /// No beat is due until the next one: there is nothing to do.
    pub fn pause(&self) {
        self.pulse.last_ms.store(PAUSED, Ordering::Release);
    }
}

// === impl Pulse ===

impl Pulse {
    fn stalled(&self, now_ms: u64) -> bool {
        let last = self.last_ms.load(Ordering::Acquire);
        last != PAUSED && Duration::from_millis(now_ms.saturating_sub(last)) > self.stall_after
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_ready_when_every_gate_is_open() {
        let health = Health::default();
        let (one, two) = (health.gate("one"), health.gate("two"));
        one.open();
        assert_eq!(health.not_ready().into_keys().collect::<Vec<_>>(), ["two"]);
        two.open();
        assert!(health.not_ready().is_empty());
        health.drain();
        assert_eq!(
            health.not_ready().into_keys().collect::<Vec<_>>(),
            ["draining"]
        );
    }

    #[test]
    fn a_loop_that_misses_its_beat_is_named() {
        let health = Health::default();
        let late = health.watch("late", Duration::ZERO);
        let _fresh = health.watch("fresh", Duration::from_secs(3_600));
        late.pulse.last_ms.store(0, Ordering::Release);
        assert!(late.pulse.stalled(1));
        late.pause();
        assert!(health.stalled().is_empty());
    }
}
