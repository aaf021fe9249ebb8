//! The command line: one file a verb.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod check;
mod demo;
mod serve;

/// A front-end IMAP and POP3 gateway: finds each user's back-end in a directory, logs in there, and relays.
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
  portcullis serve --config portcullis.yaml    run it

config/portcullis.yaml in the source explains every key of a configuration.";

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the gateway.
    ///
    /// SIGHUP reads certificates and the file of users again. SIGTERM and SIGINT stop accepting, let sessions finish
    /// for `shutdown.grace`, then end; a second one ends at once.
    Serve {
        /// The configuration.
        #[arg(long, short, value_name = "FILE", default_value = CONFIGURATION)]
        config: PathBuf,
    },
    /// Check a configuration: prints every problem as `file:line: path: message`, and exits with 1 if there is one.
    ///
    /// Certificates, keys, secrets and files of users that it names are read too; servers are not asked.
    Check {
        /// The configuration.
        #[arg(value_name = "FILE", default_value = CONFIGURATION)]
        file: PathBuf,
    },
    /// Run the gateway in front of two small mail stores, on loopback, and print commands to try.
    Demo {
        /// Take whatever ports are free instead of those of the demo's configuration.
        #[arg(long)]
        free_ports: bool,
    },
}

/// Runs the verb that was asked for.
#[must_use]
pub fn main() -> ExitCode {
    let done = match Arguments::parse().verb {
        Verb::Serve { config } => serve::serve(&config),
        Verb::Check { file } => return check::check(&file),
        Verb::Demo { free_ports } => demo::demo(free_ports),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("portcullis: {error:#}");
            ExitCode::FAILURE
        }
    }
}
