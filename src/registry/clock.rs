//! The wall clock, behind a seam through which tests move time.
//!
//! The wall's and not the monotonic one, because a window outlives the process (disk) and the machine (Valkey).

#[cfg(test)]
use std::sync::Arc;
#[cfg(test)]
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

/// Tells the time in seconds since 1970.
#[derive(Debug, Clone)]
pub(super) enum Clock {
    /// The system's.
    Wall,
    /// A test's.
    #[cfg(test)]
    Hand(Arc<AtomicU64>),
}

impl Clock {
    pub(super) fn now(&self) -> u64 {
        match self {
            Self::Wall => SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            #[cfg(test)]
            Self::Hand(seconds) => seconds.load(Ordering::SeqCst),
        }
    }
}
