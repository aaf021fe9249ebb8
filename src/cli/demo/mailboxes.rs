//! The mail of all demo stores, in memory. The stores share it, and so need no mail transport between them.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The users' messages by address, oldest first. Every line of a message ends in CRLF. Clones share the messages.
#[derive(Debug, Clone, Default)]
pub(super) struct Mailboxes(Arc<Mutex<HashMap<String, Vec<Arc<str>>>>>);

/// One of the recipients' mailboxes holds [`MESSAGES_MAX`] messages.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct MailboxFull;

impl Mailboxes {
    /// Opens a mailbox with one message in it.
    pub(super) fn open(&self, address: &str, message: &str) {
        self.lock().insert(address.to_owned(), vec![message.into()]);
    }

    pub(super) fn contains(&self, address: &str) -> bool {
        self.lock().contains_key(address)
    }

    /// The messages are numbered by their place here. Nothing is ever deleted, so the numbers stay.
    pub(super) fn messages(&self, address: &str) -> Vec<Arc<str>> {
        self.lock().get(address).cloned().unwrap_or_default()
    }

    /// Delivers to all recipients, or to none of them.
    pub(super) fn deliver(&self, recipients: &BTreeSet<String>, message: &str) -> Result<(), MailboxFull> {
        let mut mailboxes = self.lock();
        let is_full = |address: &String| mailboxes.get(address).is_none_or(|mailbox| mailbox.len() >= MESSAGES_MAX);
        if recipients.iter().any(is_full) {
            return Err(MailboxFull);
        }
        let message: Arc<str> = message.into();
        for address in recipients {
            mailboxes.entry(address.clone()).or_default().push(message.clone());
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<Arc<str>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const MESSAGES_MAX: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mailbox_takes_fifty_messages_and_a_full_one_keeps_the_others_from_getting_theirs() {
        let mailboxes = Mailboxes::default();
        mailboxes.open("alice@example.com", "Hello\r\n");
        mailboxes.open("bob@example.com", "Hello\r\n");
        let bob = BTreeSet::from(["bob@example.com".to_owned()]);
        let both = BTreeSet::from(["alice@example.com".to_owned(), "bob@example.com".to_owned()]);
        assert_eq!((1..MESSAGES_MAX).filter(|_| mailboxes.deliver(&bob, "More\r\n").is_ok()).count(), MESSAGES_MAX - 1);
        assert_eq!(mailboxes.deliver(&bob, "Too many\r\n"), Err(MailboxFull));
        assert_eq!(mailboxes.deliver(&both, "Too many\r\n"), Err(MailboxFull));
        assert_eq!(mailboxes.messages("bob@example.com").len(), MESSAGES_MAX);
        assert_eq!(mailboxes.messages("alice@example.com").len(), 1);
    }
}
