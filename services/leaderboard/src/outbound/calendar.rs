//! The time zone database as the fold's calendar.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use brewline_kernel::Timestamp;
use brewline_leaderboard_domain::{Calendar, Day};
use jiff::tz::TimeZone;

/// Local dates by IANA time zones, each looked up once.
#[derive(Debug, Default)]
pub struct ZoneCalendar(RwLock<BTreeMap<String, TimeZone>>);

// === impl ZoneCalendar ===

impl Calendar for ZoneCalendar {
    fn local_day(&self, time_zone: &str, at: Timestamp) -> Day {
        let local = date(at, self.zone(time_zone));
        if brewline_failpoint::planted("boards-utc-date") {
            let utc = date(at, TimeZone::UTC);
            // Where the two agree at this hour, it is the day before: the mistake shows at every hour.
            return if utc == local {
                Day::from_days(local.as_days() - 1)
            } else {
                utc
            };
        }
        local
    }
}

impl ZoneCalendar {
    fn zone(&self, name: &str) -> TimeZone {
        let known = self
            .0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .cloned();
        if let Some(zone) = known {
            return zone;
        }
        let zone = TimeZone::get(name).unwrap_or_else(|_| {
            // `inventory` refuses such a store; a database older than its own may still not know it.
            tracing::warn!(
                time_zone = name,
                "this time zone is not known here; its dates are those of UTC"
            );
            TimeZone::UTC
        });
        let mut zones = self.0.write().unwrap_or_else(PoisonError::into_inner);
        zones.insert(name.to_owned(), zone.clone());
        zone
    }
}

fn date(at: Timestamp, zone: TimeZone) -> Day {
    let instant = jiff::Timestamp::from_microsecond(at.as_micros()).unwrap_or_default();
    let date = instant.to_zoned(zone).date();
    Day::from_civil(date.year().into(), date.month().into(), date.day().into()).unwrap_or_default()
}
