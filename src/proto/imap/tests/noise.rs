//! Random bytes mixed with real commands.

use bytes::BytesMut;
use proptest::prelude::*;

use crate::proto::imap::back::ImapBack;
use crate::proto::imap::front::ImapFront;
use crate::proto::{
    Ask, Back, Credential, Denial, Front, FrontConfig, HEARD_MAX, Identity, LoginPlan, Mechanism, Need, Tls,
};
use crate::secret::Secret;

/// Random bytes get nowhere; random pieces of real commands get far.
fn client_noise() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        prop::sample::select(vec![
            &b"a LOGIN "[..],
            b"a AUTHENTICATE PLAIN",
            b" AGEAYg==",
            b"a AUTHENTICATE LOGIN\r\n",
            b"a ID (",
            b"\"x-proxy-ttl\" \"3\"",
            b")",
            b"a STARTTLS",
            b"a NOOP\r\n",
            b"a LOGOUT",
            b" ",
            b"\r\n",
            b"\n",
            b"\r",
            b"\"",
            b"\\",
            b"{3}\r\n",
            b"{3+}\r\n",
            b"{0}",
            b"{99999+}\r\n",
            b"*\r\n",
            b"\0",
            b"\x16\x03",
        ])
        .prop_map(<[u8]>::to_vec),
        (0..9000usize).prop_map(|length| vec![b'x'; length]),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn server_noise() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        prop::sample::select(vec![
            &b"* OK [CAPABILITY IMAP4rev1 ID SASL-IR AUTH=PLAIN] x\r\n"[..],
            b"* OK hello\r\n",
            b"* CAPABILITY IMAP4rev1 LITERAL-\r\n",
            b"C OK x\r\n",
            b"I OK x\r\n",
            b"L OK x\r\n",
            b"L NO [LIMIT] x\r\n",
            b"P OK x\r\n",
            b"S OK x\r\n",
            b"+ \r\n",
            b"* BYE x\r\n",
            b"[",
            b"]",
            b"\r\n",
        ])
        .prop_map(<[u8]>::to_vec),
        (0..5000usize).prop_map(|length| vec![b'x'; length]),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn front() -> ImapFront {
    ImapFront::new(FrontConfig {
        hostname: "h".into(),
        greeting: "g".into(),
        mechanisms: Mechanism::ALL.into(),
        tls: Tls::Offered,
        cleartext: true,
        bad_commands: 20,
        failed_logins: 20,
        extensions: std::sync::Arc::default(),
        bare_newline: crate::proto::smtp::text::BareNewline::Reject,
        unauthorized_pipelining: crate::proto::smtp::pipelining::UnauthorizedPipelining::Allow,
        vouching: false,
    })
}

fn back(starttls: bool) -> ImapBack {
    let address = "192.0.2.1:143".parse().expect("an address");
    let identity = Identity { client: address, gateway: address, session: "s-1".to_owned(), ttl: 3, helo: None };
    let credential = Credential::Password(Secret::new("pä").expect("no line end"));
    ImapBack::new(LoginPlan {
        hostname: "h".into(),
        user: "u".to_owned(),
        credential,
        starttls,
        identity: Some(identity),
    })
}

proptest! {
    #[test]
    fn no_client_makes_a_front_panic_or_keep_more_than_it_may(noise in client_noise(), piece in 1..5000usize) {
        let (mut front, mut heard) = (front(), BytesMut::new());
        'all: for piece in noise.chunks(piece) {
            heard.extend_from_slice(piece);
            loop {
                match front.step(&mut heard, &mut Vec::new()) {
                    Need::Input => break,
                    Need::StartTls if heard.is_empty() => front.secured(),
                    Need::Login(_) => front.deny(Denial::BadCredentials, &mut Vec::new()),
                    Need::StartTls | Need::MailRequest(_) | Need::Close(_) => break 'all,
                }
            }
            prop_assert!(heard.len() <= HEARD_MAX);
        }
    }

    #[test]
    fn no_back_end_makes_a_back_panic_or_keep_more_than_it_may(
        noise in server_noise(), piece in 1..5000usize, starttls: bool
    ) {
        let (mut back, mut heard) = (back(starttls), BytesMut::new());
        'all: for piece in noise.chunks(piece) {
            heard.extend_from_slice(piece);
            loop {
                match back.step(&mut heard, &mut Vec::new()) {
                    Ask::Input => break,
                    Ask::StartTls if heard.is_empty() => back.secured(),
                    Ask::Refused(refused) => {
                        prop_assert!(refused.detail.len() <= 256 && refused.detail.is_ascii());
                        break 'all;
                    }
                    Ask::StartTls | Ask::Granted(_) => break 'all,
                }
            }
            prop_assert!(heard.len() <= HEARD_MAX);
        }
    }
}
