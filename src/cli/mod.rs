//! The command line: one file a verb.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

mod admin;
mod check;
mod demo;
mod presets;
mod remote;
mod serve;
mod status;
mod table;

use admin::{Switch, Which, Whom};
use remote::Remote;

/// A front-end gateway for IMAP, POP3, submission and mail from other servers: finds each user's back-end in a directory,
/// logs in there, and relays.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

const CONFIGURATION: &str = "/etc/portcullis/portcullis.yaml";

const EXAMPLES: &str = "\
Examples:
  portcullis demo                              try it, on loopback
  portcullis check portcullis.yaml             what is wrong with a configuration
  portcullis serve portcullis.yaml             run it
  portcullis who --user alice                  who is on, of the gateway that runs here
  portcullis kick alice@example.com            end the sessions of a user
  portcullis kick --from 192.0.2.7             end the sessions from an address
  portcullis disable alice pop3 --now          no POP3 for alice from now on

Those that ask a running gateway find it by --admin URL or PORTCULLIS_ADMIN, else at http://127.0.0.1:8025; to act
they need a token with `may: admin` of its `admin.tokens`, in a file (--token-file) or in PORTCULLIS_TOKEN. A variable
that is empty counts as not set.

config/portcullis.yaml in the source explains every key of a configuration.";

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the gateway.
    ///
    /// SIGHUP reads certificates, files of users and files of secrets again; the configuration is read at a start only. SIGTERM and SIGINT stop accepting, let sessions finish
    /// for `shutdown.grace`, then end; a second one ends at once.
    #[command(override_usage = "portcullis serve [FILE] [--recreate-store] [--core-dumps]")]
    Serve {
        #[command(flatten)]
        file: File,
        #[command(flatten)]
        options: serve::Options,
    },
    /// Check a configuration: prints every problem as `file:line: path: message`, and exits with 1 if there is one.
    ///
    /// Certificates, keys, secrets and files of users that it names are read too; servers are not asked. Warnings are
    /// printed as `file:line: warning: path: message`; they do not keep the gateway from running.
    Check {
        #[command(flatten)]
        file: File,
        /// Exit with 1 for a warning too.
        #[arg(long)]
        strict: bool,
    },
    /// Print what the presets of LDAP sources stand for, as the keys that could be written in their place.
    Presets {
        /// Only this one, such as active-directory.
        name: Option<String>,
    },
    /// Run the gateway in front of two small mail stores, on loopback, and print commands to try.
    Demo {
        /// Take whatever ports are free instead of those of the demo's configuration.
        #[arg(long)]
        free_ports: bool,
    },
    /// List the sessions that are on.
    Who {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        remote: Remote,
    },
    /// End sessions: the mail program is told goodbye where its protocol allows that.
    Kick {
        #[command(flatten)]
        whom: Whom,
        #[command(flatten)]
        remote: Remote,
    },
    /// Show a user: what the directory says, last logins, refused logins, addresses, sessions.
    User {
        /// The user's name.
        #[arg(value_parser = admin::user_name)]
        name: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Switch a protocol off for a user, from the next login on.
    ///
    /// The directory must know the user, unless something is switched off for the name already.
    Disable {
        #[command(flatten)]
        switch: Switch,
        /// End the sessions that are on, too.
        #[arg(long)]
        now: bool,
        #[command(flatten)]
        remote: Remote,
    },
    /// Switch a protocol on again for a user.
    ///
    /// The directory must know the user, unless something is switched off for the name already.
    Enable {
        #[command(flatten)]
        switch: Switch,
        #[command(flatten)]
        remote: Remote,
    },
    /// List the users for whom a protocol is switched off.
    ///
    /// ALIAS OF: the directory knows this name as an alias of that user, whose switches count; `enable NAME PROTOCOL --force`
    /// takes those of the alias back.
    SwitchedOff {
        #[command(flatten)]
        remote: Remote,
    },
    /// Forget where a user lives: the next login asks the directory.
    Forget {
        /// The user's name.
        #[arg(value_parser = admin::user_name)]
        user: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// List the addresses that a user logged in from.
    Ips {
        /// The user's name.
        #[arg(value_parser = admin::user_name)]
        user: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Show how the gateway and its back-ends are.
    Status {
        #[command(flatten)]
        remote: Remote,
    },
}

/// The configuration's file; `FILE` and `--config FILE` are the same.
#[derive(Debug, Args)]
struct File {
    /// The configuration [default: /etc/portcullis/portcullis.yaml]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// The same.
    #[arg(long, short, value_name = "FILE", conflicts_with = "file")]
    config: Option<PathBuf>,
}

impl File {
    fn path(&self) -> &Path {
        self.file.as_deref().or(self.config.as_deref()).unwrap_or(Path::new(CONFIGURATION))
    }
}

/// Runs the verb that was asked for.
#[must_use]
pub fn main() -> ExitCode {
    let done = match Arguments::parse().verb {
        Verb::Serve { file, options } => serve::serve(file.path(), options),
        Verb::Check { file, strict } => return check::check(file.path(), strict),
        Verb::Presets { name } => presets::presets(name.as_deref()),
        Verb::Demo { free_ports } => demo::demo(free_ports),
        Verb::Who { which, remote } => admin::who(&remote, &which),
        Verb::Kick { whom, remote } => admin::kick(&remote, &whom),
        Verb::User { name, remote } => admin::user(&remote, &name),
        Verb::Disable { switch, now, remote } => admin::switch(&remote, &switch, false, now),
        Verb::Enable { switch, remote } => admin::switch(&remote, &switch, true, false),
        Verb::SwitchedOff { remote } => admin::switched_off(&remote),
        Verb::Forget { user, remote } => admin::forget(&remote, &user),
        Verb::Ips { user, remote } => admin::ips(&remote, &user),
        Verb::Status { remote } => status::status(&remote),
    };
    exit(done)
}

fn exit(done: anyhow::Result<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("portcullis: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Prints to whom it may concern: who reads no further, such as `head`, has heard enough.
fn say(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        said => Ok(said?),
    }
}
