//! Portcullis stands in front of a site's mail back-ends. Clients connect to it over IMAP, POP3 and SMTP; it decides who may
//! come in, looks up where each user lives, logs in there on the user's behalf, and then relays bytes. One binary, one
//! YAML file, one crate.
//!
//! # The idea
//!
//! 1. A **session** is one `async fn` that reads, top to bottom, as the story of a connection ([`session`]).
//! 2. The mail **protocols are conversations**: pure state machines, bytes in, bytes out; no socket, clock, task or
//!    configuration ([`proto`]).
//! 3. One small driver turns a conversation into I/O, and it is the same for all protocols.
//! 4. Everything a session asks ([`gate`], [`directory`], [`backend`], [`registry`], [`roster`], [`metrics`]) is one word
//!    and one module below the session, and never knows it.
//! 5. Sessions live on **workers**: single-threaded runtimes, between `threads.min` and `threads.max` of them, each
//!    accepting from the same listening sockets; what is shared between workers is small and explicit ([`worker`]).
//! 6. Every session ends in exactly one [`session::Ending`]; its metric label, log level, blame and last words are
//!    methods of it.
//!
//! # The way of a connection
//!
//! ```text
//! listener ──accept──▶ door.admit(peer) ──spawn──▶ session.run
//!   session: [PROXY header → door.admit(client)] → [implicit TLS] → conversation.next_request() ◀───┐
//!                                                         │ login                                │ deny
//!     [MAIL without AUTH: registry.covers(address) says whose login it is]                       │
//!             directory.find → backends.log_in: choose → lease → dial → back half ───────────────┘
//!                                                         │ granted
//!            user_limits: a place · roster: Guest, on from now on · registry.record(user, client address) → Presence
//!                          relay(client, backend), a task of its own → Tally
//!                    ── always ──▶ Record, dropped: Ending → metrics, one log line
//!
//!   port 25, instead of a login, for each message:
//!     RCPT ▶ directory.recipient → backends.log_in → Transaction: MAIL, RCPT ▶ its answer
//!     DATA, BDAT ▶ the text, passed on as it comes ▶ its answer, the only one that acknowledges
//! ```
//!
//! Handshakes and PROXY headers are read inside the session's task, under a deadline; never in the accept loop. The
//! login ends by spawning the relay, because a future stays as large as its largest state: what logging in needed is
//! gone then, and an idle session holds two sockets, a record and no buffer. Bytes come into our memory only where they
//! must: a long transfer with TLS on neither side stays in the kernel. With implicit TLS 1.3 the greeting, made before
//! anyone has come, goes with the server's first flight.
//!
//! # The words
//!
//! | word | module | what it is |
//! |---|---|---|
//! | `Gateway`, `Workers`, `Listener` | [`gateway`], [`worker`], [`listener`] | the running program · its threads · one bound address speaking one `Protocol` |
//! | `Session`, `Ending`, [`proto::Stage`] | [`session`] | one client connection · how it ended · what it was doing then |
//! | `Parts`, `ListenerContext` | [`session`] | what all sessions share · what those of one listener share |
//! | `Conversation` | `session` | a `Front` on a `Wire`: `next_request`, `deny`, `grant`, `answer` |
//! | `Reception`, `Transaction` | `session` | the messages of port 25: which server each goes to · one message at one server |
//! | `may_use`, `Forbidden` | [`session::permission`] | whether a user may use a protocol, for our listeners and for look-ups alike · why not |
//! | `Record` | `session` | what is remembered of a session until its one log line |
//! | `Protocol` | [`proto`] | `Imap, Pop3, Submission, Smtp`: the only list; the factory of the halves |
//! | `Front` / `Back` | [`proto`] | the client-facing / back-end-facing half of a protocol |
//! | `Need` / `Ask` | [`proto`] | what a front / a back needs next |
//! | `Login`, `Granted`, `LoginFailure`, `Denial` | [`proto`] | a wish to log in · what the back-end said · why not, for the log · why not, for the client |
//! | `MailRequest`, `Answer` | [`proto`] | a part of a message, to be passed on · what the client is told of it |
//! | `Mail`, `Recipient` | [`proto`] | who sends, and what is said of the message · one who is to get it |
//! | `Text`, `Chunks` | [`proto::smtp::text`] | a message's text up to its end, the one place that decides where that is · the same in chunks |
//! | `Delivery`, `Said` | [`proto::smtp::delivery`] | what a back-end is told of a message · what it answered |
//! | `Wire`, `Relay`, `Tally` | [`wire`] | a byte stream and what it has said so far · bytes both ways · how many, and who closed |
//! | `Gate`, `Door`, `Permit`, `Refusal` | [`gate`] | admission · its part for one listener · a place inside, given back when dropped · why not |
//! | `Directory`, `User`, `Route` | [`directory`] | answers "where does this user live?" · who it is, by the one name that the directory has for the entry · host, name there, standing |
//! | `Recipient`, `Lodging` | [`directory`] | whose mail is this? · where it goes, and to which address there |
//! | `Backends`, `Server`, `Lease` | [`backend`] | the servers behind a name, and the only place that decides to try another · one of them · a place there, given back when dropped |
//! | `Registry`, `Presence`, `Coverage` | [`registry`] | who logged in from where · a session that keeps that so · what an address may be taken for |
//! | `Roster`, `Guest`, `Entry` | [`roster`] | who is on, and what is remembered of users · a session's own hold of its entry · what others see of it |
//! | `Nodes` | [`nodes`] | all gateways that share a store as one: who is on at any of them, what they remember of users, and orders that reach each |
//! | `Activity` | [`wire`] | the bytes, the last movement and the kick that a session shares with who watches it |
//! | `ConnectionSlots` | [`wire`] | connections to the admin side and to look-ups: a bounded number, the oldest silent one gives way |
//! | `Language` | [`lookup`] | one of the protocols by which other MTAs ask the registry |
//! | `Caller`, `Visit` | [`admin`] | who asks or acts, for the log · a browser that has signed in with a token |
//! | `Metrics` | [`metrics`] | every metric once; labels come from closed enums |
//! | `Drain` | [`drain`] | *stop*, *wait*, *cut* |
//! | `Node`, `Problem`, `Config` | [`config`] | what was written · one thing wrong with it, and where · what we run on |
//! | `Secret` | [`secret`] | never printed, wiped on drop |
//!
//! # Layers
//!
//! A module uses what is below it, never what is beside or above it; `tests/tidy.rs` reads the paths and checks.
//!
//! | layer | modules |
//! |---|---|
//! | 7 | `main`, [`cli`], [`gateway`] |
//! | 6 | [`worker`] (over [`listener`]), [`admin`], [`lookup`] |
//! | 5 | [`session`] |
//! | 4 | [`backend`], [`nodes`]; not each other |
//! | 3 | [`directory`], [`registry`], [`roster`], [`gate`]; not each other |
//! | 2 | [`wire`] |
//! | 1 | [`config`] |
//! | 0 | [`proto`], [`metrics`], [`drain`], [`secret`], [`logging`], [`node_id`]; `proto` uses [`secret`] only |
//!
//! # What always holds
//!
//! * No byte that arrived before a TLS handshake is interpreted after it, on either side.
//! * A credential goes to one back-end, whose host the configuration allows, after TLS where TLS is configured; and to
//!   nobody when the login was refused here.
//! * "The directory or the back-end is away" is never told as "wrong password".
//! * One entry of the directory is one user, whatever alias was typed; nobody's place, limit or switch is taken by a name
//!   for which no password was shown.
//! * An address is vouched for after the back-end's own yes, one address at a time, and not while the record is away,
//!   which is told as "come back later".
//! * Every wait has a deadline, every count is a permit that gives itself back, every buffer is bounded.
//! * Of a message that is taken here, a back-end is told what was read and checked, never a client's line; and where its
//!   text ends is decided in one place.
//! * No text of a peer begins a log line, or becomes a metric's label.
//!
//! # Where the walls were moved
//!
//! * What was written is a generic tree with a line at every value ([`config::raw`]) rather than derived structs: serde
//!   stops at the first unknown key or wrong type, and an operator is owed all of them at once.
//! * LDAP replies pass a guard before ldap3 sees them, and TLS to the directory is spoken by that guard, not by ldap3.
//! * Submission is a protocol of its own rather than SMTP in a role: it ends in a blind relay as IMAP and POP3 do, which
//!   SMTP routed by recipient does not: there the front takes each message, asks for every part of it
//!   ([`proto::MailRequest`]), and the back-end is told what was read, never what was written. The two share one front all the
//!   same, for all that an SMTP server has to know before MAIL.
//! * The roster stands beside the registry, not in it: it is of this process and of this moment. What other gateways see
//!   of it is shown by [`nodes`], above both, under a lease; a login and a relay know nothing of that. A relay writes its counts into the entry through [`wire::activity`], and so needs to know of no roster. What an
//!   administrator switches off is stored, and so is the registry's.
//! * Workers' sessions are `Send`, though they never move: a task tracker and `tokio::spawn` then serve as they are.

pub mod admin;
pub mod backend;
pub mod cli;
pub mod config;
pub mod directory;
pub mod drain;
pub mod gate;
pub mod gateway;
pub mod listener;
pub mod logging;
pub mod lookup;
pub mod metrics;
pub mod node_id;
pub mod nodes;
pub mod proto;
pub mod registry;
pub mod roster;
pub mod secret;
pub mod session;

pub mod wire;
pub mod worker;
