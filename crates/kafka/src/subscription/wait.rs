//! Waiting for a future on a plain thread, until a deadline.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Wakes the current thread.
pub(super) fn waker() -> Waker {
    Waker::from(Arc::new(Unpark(thread::current())))
}

/// The future's answer, or none when the deadline passes or `give_up` says so first. Whoever makes
/// `give_up` true must unpark this thread.
pub(super) fn until<T>(
    deadline: Instant,
    give_up: impl Fn() -> bool,
    future: impl Future<Output = T>,
) -> Option<T> {
    let waker = waker();
    let mut context = Context::from_waker(&waker);
    let mut future: Pin<&mut _> = pin!(future);
    loop {
        if let Poll::Ready(answer) = future.as_mut().poll(&mut context) {
            return Some(answer);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || give_up() {
            return None;
        }
        thread::park_timeout(left);
    }
}
