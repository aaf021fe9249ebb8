//! Wrong tokens, of the API and of the page's sign-in alike: an address may try [`MOST`] a [`WINDOW`].
//!
//! A token cannot be guessed; this bounds the work and the lines of the log that trying makes. The same wrong token counts
//! once: a program with yesterday's token that asks every few seconds is refused, and does not lock out the administrator
//! who comes from the same address.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use lru::LruCache;

use super::guard::known;
use super::refusal::Refusal;
use super::{Admin, RefusalReason};
use crate::config::Token;
use crate::config::address::counted_as;

pub(super) struct Tries {
    addresses: Mutex<LruCache<IpAddr, WrongTokens>>,
    hasher: RandomState,
}

/// Of one address, since `begun`.
struct WrongTokens {
    /// Hashes of wrong tokens, each once.
    wrong: Vec<u64>,
    begun: Instant,
}

#[derive(Debug)]
enum TokenVerdict<'t> {
    Known(&'t Token),
    /// `is_new`: it was not given before.
    Wrong {
        is_new: bool,
    },
    TooMany,
}

impl Admin {
    /// Whose token that is; `surface`, for the log: where it was given.
    pub(super) fn token(&self, given: &str, from: SocketAddr, surface: &'static str) -> Result<&Token, Refusal> {
        let (reason, status, detail) = match self.tries.check(&self.tokens, given, from.ip(), Instant::now()) {
            TokenVerdict::Known(token) => return Ok(token),
            TokenVerdict::Wrong { is_new } => {
                if is_new {
                    tracing::warn!(%from, surface, "wrong token: it is none of admin.tokens");
                }
                let detail = "unknown token; it must be one of `admin.tokens`";
                (RefusalReason::WrongToken, StatusCode::UNAUTHORIZED, detail)
            }
            TokenVerdict::TooMany => {
                let detail = "too many wrong tokens came from your address; wait a minute";
                (RefusalReason::TooManyWrongTokens, StatusCode::TOO_MANY_REQUESTS, detail)
            }
        };
        Err(self.refused(reason, status, detail))
    }
}

impl Tries {
    fn check<'t>(&self, tokens: &'t [Token], given: &str, from: IpAddr, now: Instant) -> TokenVerdict<'t> {
        let from = counted_as(from.to_canonical(), 64);
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let tried = addresses.get_or_insert_mut(from, || WrongTokens { wrong: Vec::new(), begun: now });
        if now.saturating_duration_since(tried.begun) >= WINDOW {
            *tried = WrongTokens { wrong: Vec::new(), begun: now };
        }
        if tried.wrong.len() >= MOST {
            return TokenVerdict::TooMany;
        }
        if let Some(token) = known(tokens, given) {
            addresses.pop(&from);
            return TokenVerdict::Known(token);
        }
        let hash = self.hasher.hash_one(given);
        let is_new = !tried.wrong.contains(&hash);
        if is_new {
            tried.wrong.push(hash);
        }
        TokenVerdict::Wrong { is_new }
    }
}

impl Default for Tries {
    fn default() -> Self {
        Self { addresses: Mutex::new(LruCache::new(ADDRESSES)), hasher: RandomState::new() }
    }
}

const MOST: usize = 10;
pub(super) const WINDOW: Duration = Duration::from_secs(60);
const ADDRESSES: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::May;
    use crate::secret::Secret;

    const GOOD: &str = "good-good-good-good";

    struct Desk(Tries, Vec<Token>, Instant);

    impl Desk {
        fn new() -> Self {
            let token = Token { name: "ops".to_owned(), secret: Secret::new(GOOD).unwrap().into(), may: May::Admin };
            Self(Tries::default(), vec![token], Instant::now())
        }

        fn says(&self, from: &str, given: &str, later: Duration) -> &'static str {
            match self.0.check(&self.1, given, from.parse().unwrap(), self.2 + later) {
                TokenVerdict::Known(_) => "known",
                TokenVerdict::Wrong { is_new: true } => "wrong",
                TokenVerdict::Wrong { is_new: false } => "wrong again",
                TokenVerdict::TooMany => "too many",
            }
        }

        fn wrong(&self, from: &str, times: usize) {
            (0..times)
                .for_each(|number| assert_eq!(self.says(from, &format!("guess{number}"), Duration::ZERO), "wrong"));
        }
    }

    #[test]
    fn an_address_has_ten_tries_a_minute_and_takes_nobody_elses() {
        let desk = Desk::new();
        desk.wrong("2001:db8::1", MOST);
        assert_eq!(desk.says("2001:db8::2", GOOD, Duration::ZERO), "too many", "the same network");
        assert_eq!(desk.says("192.0.2.1", GOOD, Duration::ZERO), "known");
        assert_eq!(desk.says("2001:db8::1", GOOD, WINDOW), "known", "a minute later");
    }

    #[test]
    fn a_good_token_forgives_those_before_it() {
        let desk = Desk::new();
        desk.wrong("192.0.2.1", MOST - 1);
        assert_eq!(desk.says("192.0.2.1", GOOD, Duration::ZERO), "known");
        desk.wrong("192.0.2.1", MOST);
    }

    #[test]
    fn a_program_with_an_old_token_locks_nobody_out() {
        let desk = Desk::new();
        assert_eq!(desk.says("::ffff:192.0.2.1", "yesterday", Duration::ZERO), "wrong");
        for _ in 0..100 {
            assert_eq!(desk.says("192.0.2.1", "yesterday", Duration::ZERO), "wrong again");
        }
        assert_eq!(desk.says("192.0.2.1", GOOD, Duration::ZERO), "known");
    }
}
