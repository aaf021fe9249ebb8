//! Who has signed in with a browser: kept in memory, few, and not for ever.
//!
//! A visit is known by 256 random bits, which the browser has as a cookie, and acts by 256 others, which only our own
//! forms carry. It ends when it was not used for [`IDLE`], at the latest after [`LONGEST`], and with the gateway.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::config::May;

#[derive(Default)]
pub(super) struct Visits(Mutex<HashMap<String, Visit>>);

struct Visit {
    seen: Seen,
    begun: Instant,
    used: Instant,
    notice: Option<String>,
}

/// What a visit is.
#[derive(Clone)]
pub(super) struct Seen {
    /// The token's.
    pub name: Arc<str>,
    pub may: May,
    /// What its forms carry.
    pub csrf: Arc<str>,
}

impl Visits {
    /// A visit begins; what the browser is to keep. The one that was used longest ago goes when there are too many.
    pub(super) fn begin(&self, name: &str, may: May, now: Instant) -> Result<String, getrandom::Error> {
        let (key, csrf) = (random()?, random()?);
        let seen = Seen { name: name.into(), may, csrf: csrf.into() };
        let mut visits = self.lock();
        visits.retain(|_, visit| visit.is_on(now));
        if visits.len() >= MOST {
            let oldest = visits.iter().min_by_key(|(_, visit)| visit.used).map(|(key, _)| key.clone());
            oldest.and_then(|key| visits.remove(&key));
        }
        visits.insert(key.clone(), Visit { seen, begun: now, used: now, notice: None });
        Ok(key)
    }

    /// Who has this cookie, if anybody has; it is used then.
    pub(super) fn seen(&self, key: &str, now: Instant) -> Option<Seen> {
        let mut visits = self.lock();
        let visit = visits.get_mut(key)?;
        if !visit.is_on(now) {
            visits.remove(key);
            return None;
        }
        visit.used = now;
        Some(visit.seen.clone())
    }

    pub(super) fn end(&self, key: &str) {
        self.lock().remove(key);
    }

    /// Something to be shown on the next page, once.
    pub(super) fn tell(&self, key: &str, notice: String) {
        if let Some(visit) = self.lock().get_mut(key) {
            visit.notice = Some(notice);
        }
    }

    /// What there is to be shown.
    pub(super) fn hear(&self, key: &str) -> Option<String> {
        self.lock().get_mut(key)?.notice.take()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Visit>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Visit {
    fn is_on(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.used) < IDLE && now.saturating_duration_since(self.begun) < LONGEST
    }
}

fn random() -> Result<String, getrandom::Error> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

/// At the same time.
const MOST: usize = 256;
/// Without a request; a page that is open and seen asks every two seconds.
const IDLE: Duration = Duration::from_secs(30 * 60);
const LONGEST: Duration = Duration::from_secs(12 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_visit_ends_when_it_is_not_used_and_when_it_is_old() {
        let (visits, begun) = (Visits::default(), Instant::now());
        let idle = visits.begin("ops", May::Admin, begun).unwrap();
        assert!(visits.seen(&idle, begun + IDLE - Duration::from_secs(1)).is_some());
        assert!(visits.seen(&idle, begun + 2 * IDLE).is_none(), "not used for so long");
        let busy = visits.begin("ops", May::Admin, begun).unwrap();
        let mut now = begun;
        while now + IDLE / 2 < begun + LONGEST {
            now += IDLE / 2;
            assert!(visits.seen(&busy, now).is_some());
        }
        assert!(visits.seen(&busy, begun + LONGEST).is_none(), "used all the time, but for too long");
    }

    #[test]
    fn visits_are_few_and_no_two_are_alike() {
        let (visits, begun) = (Visits::default(), Instant::now());
        let first = visits.begin("view", May::Read, begun).unwrap();
        let later = begun + Duration::from_secs(1);
        let keys: Vec<String> = (0..MOST).map(|_| visits.begin("view", May::Read, later).unwrap()).collect();
        assert_eq!(visits.lock().len(), MOST);
        assert!(visits.seen(&first, later).is_none(), "the one that was used longest ago has gone");
        assert!(keys.iter().all(|key| key.len() == 64 && visits.seen(key, later).is_some()));
        visits.end(&keys[7]);
        assert!(visits.seen(&keys[7], later).is_none(), "signed out");
    }

    #[test]
    fn a_notice_is_heard_once() {
        let visits = Visits::default();
        let key = visits.begin("ops", May::Admin, Instant::now()).unwrap();
        visits.tell(&key, "done".to_owned());
        assert_eq!(
            [visits.hear(&key), visits.hear(&key), visits.hear("nobody")],
            [Some("done".to_owned()), None, None]
        );
    }
}
