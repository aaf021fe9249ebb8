//! `portcullis demo`: the real gateway in front of two small mail stores, and commands to paste.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use rcgen::{CertifiedKey, generate_simple_self_signed};

use super::serve;
use crate::config::{self, Config};
use crate::gateway::Gateway;
use crate::proto::Protocol;

mod imap;
mod instructions;
mod mail_program;
mod mailboxes;
mod pop3;
mod store;
mod submission;
mod transaction;

use instructions::{instructions, port};
use mail_program::MailProgram;
use mailboxes::Mailboxes;
use store::Store;

pub(super) fn demo(free_ports: bool) -> anyhow::Result<()> {
    let folder = Folder::create()?;
    let mut config = write_configuration(&folder.0)?;
    if free_ports {
        config.listeners.iter_mut().for_each(|listener| listener.address.set_port(0));
        config.admin.iter_mut().for_each(|admin| admin.address.set_port(0));
        config.backends.iter_mut().flat_map(|pool| pool.ports.values_mut()).for_each(|port| *port = 0);
    }
    let _logging = serve::start_logging(&config);
    serve::on_control(async {
        open_stores(&mut config).await?;
        let token = fs::read_to_string(folder.0.join(TOKEN))?;
        let mail_program = MailProgram::new(&folder.0.join(CERTIFICATE))?;
        let started = |gateway: &Gateway| {
            print!("{}", instructions(gateway, &token));
            tokio::spawn(mail_program.run(port(gateway, Protocol::Imap)));
        };
        serve::run(config, started).await.context("if a port is taken, try: portcullis demo --free-ports")
    })
}

/// The demo's own folder, gone when it ends.
struct Folder(PathBuf);

impl Folder {
    fn create() -> anyhow::Result<Self> {
        let folder = std::env::temp_dir().join(format!("portcullis-demo-{}", std::process::id()));
        // It holds a private key.
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Self(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn write_configuration(folder: &Path) -> anyhow::Result<Config> {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["demo.example.com", "localhost", "127.0.0.1"].map(String::from))?;
    fs::write(folder.join(CERTIFICATE), cert.pem())?;
    let mut random = [0; 16];
    getrandom::fill(&mut random)?;
    fs::write(folder.join(TOKEN), format!("{:032x}", u128::from_ne_bytes(random)))?;
    fs::write(folder.join("demo-key.pem"), signing_key.serialize_pem())?;
    fs::write(folder.join("demo-users.yaml"), include_str!("../../../config/demo-users.yaml"))?;
    let file = folder.join("demo.yaml");
    fs::write(&file, include_str!("../../../config/demo.yaml"))?;
    config::load(&file).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        anyhow!("the demo's own configuration has problems:\n{}", lines.join("\n"))
    })
}

/// One store for each server of the configuration, on all its ports.
async fn open_stores(config: &mut Config) -> anyhow::Result<()> {
    let people = [("alice", "wonderland"), ("bob", "builder")];
    let mailboxes = Mailboxes::default();
    for pool in &mut config.backends {
        for (server, (user, password)) in pool.servers.iter().zip(people) {
            let store = Store::new(&server.name, user, password, mailboxes.clone());
            for (&protocol, port) in pool.ports.iter_mut().filter(|(protocol, _)| Store::speaks(**protocol)) {
                *port = store.serve(protocol, &server.address, *port).await.with_context(|| {
                    format!(
                        "the demo's store cannot listen on {}:{port}; try: portcullis demo --free-ports",
                        server.address
                    )
                })?;
            }
        }
    }
    Ok(())
}

const CERTIFICATE: &str = "demo-certificate.pem";
const TOKEN: &str = "demo-token";

#[cfg(test)]
mod tests;
