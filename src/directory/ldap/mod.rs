//! LDAP, not yet.
use std::sync::Arc;

use super::counts::Counts;
use super::{PasswordAnswer, Route, SetupProblem, Unavailable, User};
use crate::config;
use crate::secret::Secret;

pub(super) struct Ldap;

impl Ldap {
    pub(super) fn new(_: &config::Ldap, _: usize, _: Arc<Counts>) -> Result<Arc<Self>, SetupProblem> {
        Ok(Arc::new(Self))
    }
    #[allow(clippy::unused_async)]
    pub(super) async fn find(self: &Arc<Self>, _: &User) -> Result<Option<Route>, Unavailable> {
        Err(Unavailable::Down("not yet".into()))
    }
    #[allow(clippy::unused_async)]
    pub(super) async fn check(self: &Arc<Self>, _: &str, _: &Secret) -> Result<PasswordAnswer, Unavailable> {
        Err(Unavailable::Down("not yet".into()))
    }
    pub(super) fn reachable(&self) -> bool {
        true
    }
}
