//! Whether a user may use a protocol: what an administrator has switched off, and what the directory says.
//!
//! It stands apart because our own listeners and the look-ups of other MTAs must say the same.

use crate::directory::{NotPermitted, Route};
use crate::proto::Protocol;
use crate::registry::Registry;

/// Why a user may not use a protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// An administrator has said so.
    #[error("an administrator has switched this protocol off for the user")]
    SwitchedOff,
    /// The directory says so.
    #[error(transparent)]
    NotPermitted(#[from] NotPermitted),
}

/// Whether the user of this identity, who lives at this route, may use the protocol.
///
/// # Errors
/// [`Forbidden`].
pub fn may_use(registry: &Registry, user: &str, route: &Route, protocol: Protocol) -> Result<(), Forbidden> {
    is_switched_on(registry, user, protocol)?;
    Ok(route.permits(protocol)?)
}

/// The part of [`may_use`] for which the directory need not be asked.
///
/// # Errors
/// [`Forbidden::SwitchedOff`].
pub fn is_switched_on(registry: &Registry, user: &str, protocol: Protocol) -> Result<(), Forbidden> {
    match registry.switched_off(user).contains(protocol) {
        true => Err(Forbidden::SwitchedOff),
        false => Ok(()),
    }
}
