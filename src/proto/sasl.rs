//! stub

/// A SASL mechanism that Portcullis offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// RFC 4616.
    Plain,
    /// The obsolete LOGIN mechanism, still what some clients speak.
    Login,
    /// Google's and Microsoft's bearer token.
    XOAuth2,
    /// RFC 7628.
    OAuthBearer,
}
