use std::time::{Duration, Instant};

use brewline_kernel::system::{SystemClock, random};
use brewline_kernel::{Clock as _, Timestamp, TraceParent};

use super::names::attribute;
use super::{Name, Tracer, tracer};
use crate::otlp;

/// An operation that is going on. It ends when it is dropped.
#[derive(Debug, Default)]
pub struct Span(Option<Open>);

/// What an attribute can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttributeValue {
    /// Text.
    Text(String),
    /// A number.
    Number(i64),
}

#[derive(Debug)]
struct Open {
    name: &'static Name,
    parent: Option<TraceParent>,
    /// Where it stands, if its trace is recorded.
    own: Option<TraceParent>,
    /// Where it stands, if that was drawn before anybody knew whether it would be recorded.
    drawn: Option<TraceParent>,
    begun: Instant,
    /// How much longer ago than `begun` the operation began.
    before: Duration,
    failed: Option<&'static str>,
    /// It may take as long as it likes.
    patient: bool,
    label: Option<String>,
    attributes: Vec<otlp::KeyValue>,
    links: Vec<otlp::Link>,
}

// === impl Span ===

impl Span {
    /// Nothing is recorded.
    #[must_use]
    pub const fn none() -> Self {
        Self(None)
    }

    /// Begins an operation that `parent` led to.
    #[must_use]
    pub fn start(name: &'static Name, parent: Option<TraceParent>) -> Self {
        if tracer().is_none() {
            return Self::none();
        }
        let sampled = parent.filter(|parent| parent.sampled);
        let own = sampled.map(|parent| TraceParent {
            span_id: random().max(1),
            ..parent
        });
        Self::open(name, parent, own)
    }

    /// Begins an operation whose own position is known already.
    #[must_use]
    pub fn at(name: &'static Name, own: TraceParent, parent: Option<TraceParent>) -> Self {
        if tracer().is_none() {
            return Self::none();
        }
        let mut span = Self::open(name, parent, own.sampled.then_some(own));
        if let Some(open) = &mut span.0 {
            open.drawn = Some(own);
        }
        span
    }

    /// Begins an operation only if its trace is recorded: for what is one of many in a batch, and
    /// fails or is slow together with them.
    #[must_use]
    pub fn of_sampled(name: &'static Name, parent: Option<TraceParent>) -> Self {
        match parent {
            Some(parent) if parent.sampled => Self::start(name, Some(parent)),
            Some(_) | None => Self::none(),
        }
    }

    /// Begins a trace of its own, for a batch that works for many.
    #[must_use]
    pub fn batch(name: &'static Name, sampled: bool) -> Self {
        if tracer().is_none() {
            return Self::none();
        }
        let own = sampled.then(|| TraceParent {
            trace_id: (u128::from(random()) << 64 | u128::from(random())).max(1),
            span_id: random().max(1),
            sampled: true,
        });
        Self::open(name, None, own)
    }

    fn open(name: &'static Name, parent: Option<TraceParent>, own: Option<TraceParent>) -> Self {
        Self(Some(Open {
            name,
            parent,
            own,
            drawn: None,
            begun: Instant::now(),
            before: Duration::ZERO,
            failed: None,
            patient: false,
            label: None,
            attributes: Vec::new(),
            links: Vec::new(),
        }))
    }

    /// It began at `then`, on the wall clock.
    #[must_use]
    pub fn since(mut self, then: Timestamp) -> Self {
        if let Some(open) = &mut self.0 {
            open.before = SystemClock.now().since(then);
            // What waited is not slow work, and is measured elsewhere.
            open.patient = true;
        }
        self
    }

    /// It is not slow, however long it takes: somebody asked it to wait.
    pub const fn be_patient(&mut self) {
        if let Some(open) = &mut self.0 {
            open.patient = true;
        }
    }

    /// What follows is not slow, however long it takes, unless what lies behind was.
    pub fn be_patient_if_quick(&mut self) {
        if let (Some(open), Some(tracer)) = (&mut self.0, tracer()) {
            open.patient |= open.begun.elapsed() < tracer.slow_after;
        }
    }

    /// Whether the trace is recorded.
    #[must_use]
    pub const fn is_sampled(&self) -> bool {
        self.context_if_sampled().is_some()
    }

    /// What is handed on to those this operation calls, when their parent is to be this span.
    #[must_use]
    pub fn context(&self) -> Option<TraceParent> {
        let open = self.0.as_ref()?;
        open.own.or(open.parent)
    }

    const fn context_if_sampled(&self) -> Option<TraceParent> {
        match &self.0 {
            Some(open) => open.own,
            None => None,
        }
    }

    /// Shown under this name.
    pub fn named(&mut self, name: impl FnOnce() -> String) {
        if let Some(open) = self.recorded() {
            open.label = Some(name());
        }
    }

    /// Notes an attribute, if the span will be recorded as far as is known now.
    pub fn set<V: Into<AttributeValue>>(&mut self, key: &'static str, value: impl FnOnce() -> V) {
        if let Some(open) = self.recorded() {
            let value = value().into().into();
            open.attributes.retain(|known| known.key != key);
            open.attributes.push(otlp::KeyValue::of(key, value));
        }
    }

    /// Notes that it belongs to `other` too, which is in another trace.
    pub fn link(&mut self, other: &Self) {
        if let (Some(open), Some(other)) = (&mut self.0, other.context_if_sampled()) {
            open.links.push(otlp::Link {
                trace_id: other.trace_id.to_be_bytes().to_vec(),
                span_id: other.span_id.to_be_bytes().to_vec(),
            });
        }
    }

    /// Notes that the operation failed: it will be recorded even if its trace is not. `class` is one of
    /// few words, never a text with what somebody entered.
    pub const fn fail(&mut self, class: &'static str) {
        if let Some(open) = &mut self.0 {
            open.failed = Some(class);
        }
    }

    /// It went well after all.
    pub const fn succeed(&mut self) {
        if let Some(open) = &mut self.0 {
            open.failed = None;
        }
    }

    fn recorded(&mut self) -> Option<&mut Open> {
        let open = self.0.as_mut()?;
        (open.own.is_some() || open.failed.is_some()).then_some(open)
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let (Some(open), Some(tracer)) = (self.0.take(), tracer()) {
            open.end(tracer);
        }
    }
}

// === impl Open ===

impl Open {
    fn end(self, tracer: &Tracer) {
        let took = self.begun.elapsed();
        let slow = !self.patient && took >= tracer.slow_after;
        if self.own.is_some() || self.failed.is_some() || slow {
            tracer.queue.push(self.finish(took));
        }
    }

    /// As it is sent.
    fn finish(self, took: Duration) -> otlp::Span {
        let end = nanos(SystemClock.now());
        let took = u64::try_from((self.before + took).as_nanos()).unwrap_or(u64::MAX);
        let own = self.own.or(self.drawn).unwrap_or_else(|| TraceParent {
            trace_id: self.parent.map_or_else(
                || (u128::from(random()) << 64 | u128::from(random())).max(1),
                |parent| parent.trace_id,
            ),
            span_id: random().max(1),
            sampled: false,
        });
        let parent = self.parent.filter(|parent| parent.span_id != own.span_id);
        let mut attributes = self.attributes;
        attributes.extend(
            self.failed
                .map(|class| otlp::KeyValue::text(attribute::ERROR_TYPE, class)),
        );
        otlp::Span {
            trace_id: own.trace_id.to_be_bytes().to_vec(),
            span_id: own.span_id.to_be_bytes().to_vec(),
            parent_span_id: parent.map_or_else(Vec::new, |p| p.span_id.to_be_bytes().to_vec()),
            name: self.label.unwrap_or_else(|| self.name.id.to_owned()),
            kind: i32::from(self.name.kind),
            start_time_unix_nano: end.saturating_sub(took),
            end_time_unix_nano: end,
            attributes,
            links: self.links,
            status: self.failed.map(|class| otlp::Status {
                message: class.to_owned(),
                code: STATUS_ERROR,
            }),
            flags: u32::from(own.sampled),
        }
    }
}

const STATUS_ERROR: i32 = 2;

fn nanos(at: Timestamp) -> u64 {
    u64::try_from(at.as_micros())
        .unwrap_or(0)
        .saturating_mul(1_000)
}

// === impl AttributeValue ===

impl From<AttributeValue> for otlp::Value {
    fn from(value: AttributeValue) -> Self {
        match value {
            AttributeValue::Text(text) => Self::Text(text),
            AttributeValue::Number(number) => Self::Number(number),
        }
    }
}

impl From<&str> for AttributeValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for AttributeValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for AttributeValue {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<usize> for AttributeValue {
    fn from(number: usize) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}
