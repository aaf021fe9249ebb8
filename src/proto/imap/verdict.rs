//! What a back-end's refusal means to the client, and what of its words the log may hold.
//!
//! It stands apart because it is a judgement, where `back` is a conversation: "down" must never look like "wrong
//! password", or clients ask their users for a new one and lose the old.

use zeroize::Zeroizing;

use super::back::{ImapBack, Next, deny};
use super::login::quoted;
use super::reply::{Condition, Words};
use crate::proto::line::{self, printable};
use crate::proto::sasl::{candidates, responses};
use crate::proto::{Credential, Denial, LoginPlan};

impl ImapBack {
    /// What a NO or a BAD means to the client (RFC 5530). A code that nobody knows is none (RFC 3501 §7.1).
    pub(super) fn turned_away(&self, condition: Condition, words: Words<'_>) -> Next {
        let code = words.code_name();
        let denial = match (condition, code.as_deref()) {
            (Condition::No, Some("UNAVAILABLE" | "SERVERBUG" | "INUSE" | "CONTACTADMIN" | "REFERRAL")) => {
                Denial::Unavailable
            }
            (Condition::No, Some("LIMIT")) => Denial::Limit,
            (Condition::No, Some("PRIVACYREQUIRED")) => Denial::Misconfigured,
            (Condition::Ok | Condition::No | Condition::Bad, _) => match &self.plan.credential {
                Credential::Password(_) | Credential::Token(..) => Denial::BadCredentials,
                // The client gave no wrong password: our master's name or password is wrong, or may not do this.
                Credential::Master { .. } | Credential::Trusted | Credential::Nobody => Denial::Misconfigured,
            },
        };
        deny(denial, &format!("it refused the login: {}", self.loggable(words)))
    }

    /// Its words for the log; a back-end that echoes what it was told, in whatever form, is not quoted.
    pub(super) fn loggable(&self, words: Words<'_>) -> String {
        let text = words.all(line::REPLY_MAX);
        let LoginPlan { user, credential, .. } = &self.plan;
        let Some(secret) = credential.secret() else { return text.chars().take(200).collect() };
        let in_base64 = candidates(credential).iter().filter_map(|mechanism| responses(*mechanism, user, credential));
        // The empty line that ends a token's failure is no secret.
        let in_base64 = in_base64.flatten().filter(|line| line.len() > 4);
        let told = [Zeroizing::new(secret.expose().to_owned()), quoted(secret.expose())].into_iter().chain(in_base64);
        if told.map(|told| Zeroizing::new(printable(told.as_bytes(), told.len()))).any(|told| text.contains(&*told)) {
            return "(its words are withheld: the credential is among them)".to_owned();
        }
        text.chars().take(200).collect()
    }
}
