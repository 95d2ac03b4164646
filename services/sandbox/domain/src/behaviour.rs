use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::Kind;

/// A whole, in the millionths that shares are counted in.
const MILLION: u32 = 1_000_000;

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misbehaviour {
    /// The bank says no.
    Decline,
    /// Nothing is done; this HTTP status is answered.
    Error(u16),
    /// It is done and answered, but only after this time, even if the caller has gone away.
    Slow(Duration),
    /// Nothing is done and nothing is answered.
    Hang,
    /// It is done; nothing is answered.
    DoneThenHang,
    /// It is done; the connection is reset instead of an answer.
    DoneThenReset,
    /// Nothing is done; the connection is refused, or reset where it is open already.
    RefuseConnection,
    /// Nothing is done; the caller is sent elsewhere with this HTTP status.
    Redirect(u16),
    /// It is done; the answer comes a byte at a time, this long apart, and never ends.
    Trickle(Duration),
}

/// A part of the outside world that can be told to misbehave on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// One kind of operation of the card processor.
    Money(Kind),
    /// The mailbox: mails as they are handed in.
    Mail,
    /// The receiver of webhooks.
    Hook,
}

/// A part of all requests, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share(u32);

/// How one kind of operation is told to behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behaviour {
    misbehaviour: Misbehaviour,
    share: Share,
    seed: u64,
    /// How many more requests it strikes; none: all.
    left: Option<u32>,
    /// How many requests were judged so far: which of them it strikes follows from the seed alone.
    judged: u64,
}

/// Why a behaviour makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBehaviour {
    /// Not a share.
    #[error("a share is a number from 0 to 1 with at most 6 decimals")]
    Share,
    /// Not the status of an error.
    #[error("a status is a number from 400 to 599")]
    Status,
}

/// How each part is told to behave; a part that is not told anything behaves well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Behaviours(BTreeMap<Part, Behaviour>);

// === impl Part ===

impl From<Kind> for Part {
    fn from(kind: Kind) -> Self {
        Self::Money(kind)
    }
}

// === impl Misbehaviour ===

impl Misbehaviour {
    /// Answering with an HTTP status.
    ///
    /// # Errors
    /// When the status is none of an error.
    pub const fn error(status: u16) -> Result<Self, InvalidBehaviour> {
        match status {
            400..=599 => Ok(Self::Error(status)),
            _ => Err(InvalidBehaviour::Status),
        }
    }
}

// === impl Share ===

impl Share {
    /// All requests.
    pub const ALL: Self = Self(MILLION);

    /// Whether every request is meant.
    #[must_use]
    pub fn is_all(self) -> bool {
        self == Self::ALL
    }
}

impl FromStr for Share {
    type Err = InvalidBehaviour;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let digits = |text: &str| text.bytes().all(|c| c.is_ascii_digit());
        if whole.is_empty() || part.len() > 6 || !digits(whole) || !digits(part) {
            return Err(InvalidBehaviour::Share);
        }
        let millionths = format!("{whole}{part:0<6}").parse::<u32>();
        match millionths {
            Ok(millionths) if millionths <= MILLION => Ok(Self(millionths)),
            _ => Err(InvalidBehaviour::Share),
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / MILLION, self.0 % MILLION)
    }
}

// === impl Behaviour ===

impl Behaviour {
    /// `misbehaviour` for a `share` of the requests, chosen by `seed`, at most `count` times.
    #[must_use]
    pub const fn new(
        misbehaviour: Misbehaviour,
        share: Share,
        seed: u64,
        count: Option<u32>,
    ) -> Self {
        Self {
            misbehaviour,
            share,
            seed,
            left: count,
            judged: 0,
        }
    }

    fn refuses_everybody(&self) -> bool {
        self.misbehaviour == Misbehaviour::RefuseConnection
            && self.share.is_all()
            && self.left.is_none()
    }

    fn judge(&mut self) -> Option<Misbehaviour> {
        let dice = mix(self.seed ^ mix(self.judged));
        self.judged = self.judged.saturating_add(1);
        if self.left == Some(0) || dice % u64::from(MILLION) >= u64::from(self.share.0) {
            return None;
        }
        self.left = self.left.map(|left| left.saturating_sub(1));
        Some(self.misbehaviour)
    }
}

// === impl Behaviours ===

impl Behaviours {
    /// Tells a part how to behave; `None`: well.
    pub fn set(&mut self, part: impl Into<Part>, behaviour: Option<Behaviour>) {
        match behaviour {
            Some(behaviour) => self.0.insert(part.into(), behaviour),
            None => self.0.remove(&part.into()),
        };
    }

    /// What goes wrong with the next request to this part, if anything.
    pub fn judge(&mut self, part: impl Into<Part>) -> Option<Misbehaviour> {
        self.0.get_mut(&part.into())?.judge()
    }

    /// Whether some kind of operation refuses every connection, until it is told otherwise: only then
    /// the processor's listener as a whole may be closed.
    #[must_use]
    pub fn closed(&self) -> bool {
        let refused = |(part, it): (&Part, &Behaviour)| {
            matches!(part, Part::Money(_)) && it.refuses_everybody()
        };
        self.0.iter().any(refused)
    }

    /// Whether the mailbox refuses every connection, until it is told otherwise.
    #[must_use]
    pub fn mailbox_closed(&self) -> bool {
        self.0
            .get(&Part::Mail)
            .is_some_and(Behaviour::refuses_everybody)
    }
}

/// The finaliser of `splitmix64`: spreads neighbouring numbers evenly.
const fn mix(number: u64) -> u64 {
    let a = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let b = (a ^ (a >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let c = (b ^ (b >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    c ^ (c >> 31)
}
