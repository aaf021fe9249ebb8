//! What `portcullis demo` prints: commands to paste, and where the page is. The tests run the commands as they are here.

use crate::config::ListenerTls;
use crate::gateway::Gateway;
use crate::proto::Protocol;

/// The port of the listener that speaks this protocol inside TLS.
pub(super) fn port(gateway: &Gateway, protocol: Protocol) -> u16 {
    let mut implicit = gateway.addresses().filter(|(context, _)| context.tls == ListenerTls::Implicit);
    implicit.find(|(context, _)| context.protocol() == protocol).map_or(0, |(_, address)| address.port())
}

pub(super) fn instructions(gateway: &Gateway, token: &str) -> String {
    let [imap, pop3, submission] =
        [Protocol::Imap, Protocol::Pop3, Protocol::Submission].map(|protocol| port(gateway, protocol));
    let admin = gateway.admin_address().map(|address| address.to_string()).unwrap_or_default();
    format!(
        "
Portcullis stands in front of two mail stores. Paste these commands into another terminal, one by one.

Fetch a message of Alice's from the first store, and one of Bob's from the second:

  curl --insecure --user alice@example.com:wonderland 'imaps://127.0.0.1:{imap}/INBOX;MAILINDEX=1'
  curl --insecure --user bob@example.com:builder 'pop3s://127.0.0.1:{pop3}/1'

Send a message as Alice, without a password. SMTP-after-POP allows it for 15 minutes, because Alice has just fetched mail
from the same address; before that, the answer is 530:

  printf 'Subject: Sent without a password\\r\\n\\r\\nHello, Bob.\\r\\n' | curl -sS --insecure --mail-from alice@example.com --mail-rcpt bob@example.com --upload-file - smtps://127.0.0.1:{submission}

Fetch it as Bob:

  curl --insecure --user bob@example.com:builder 'pop3s://127.0.0.1:{pop3}/2'

See the sessions in a browser. Sign in with the token {token}:

  http://{admin}/sessions

The demo itself keeps a session there, by IMAP as Alice. Drop it, and it connects again after five seconds.
Or switch POP3 off for Bob on his own page, and the last command is refused:

  http://{admin}/user?name=bob@example.com

--insecure is there because the demo has just made its own certificate. Metrics: http://{admin}/metrics
Ctrl-C ends the demo.

"
    )
}
