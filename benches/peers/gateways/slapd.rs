//! A real slapd that knows the users of the load.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use super::process::{Process, find, pinned};
use crate::ports;
use crate::stage::listens;

/// It runs beside the load, not on the gateway's CPU.
pub struct Slapd {
    pub port: u16,
    _process: Process,
    _folder: TempDir,
}

impl Slapd {
    pub async fn start(users: u64) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("peers-slapd-").tempdir()?;
        std::fs::create_dir(folder.path().join("db"))?;
        let conf = folder.path().join("slapd.conf");
        let text = include_str!("../startup/slapd.conf").replace("{folder}", &folder.path().display().to_string());
        std::fs::write(&conf, text)?;
        seed(folder.path(), &conf, users)?;
        let port = ports::free();
        let url = format!("ldap://127.0.0.1:{port}/");
        let arguments = ["-f", &conf.display().to_string(), "-h", &url, "-d", "0"].map(ToOwned::to_owned);
        let mut process = Process::start(&find("slapd", "slapd")?, &arguments, folder.path(), pinned::load())?;
        listens(&mut process, port).await?;
        Ok(Self { port, _process: process, _folder: folder })
    }
}

fn seed(folder: &Path, conf: &Path, users: u64) -> Result<()> {
    let mut ldif = String::from(
        "dn: dc=example,dc=com\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: Example\n\n\
         dn: ou=people,dc=example,dc=com\nobjectClass: organizationalUnit\nou: people\n",
    );
    for user in 0..users {
        write!(
            ldif,
            "\ndn: cn=user{user},ou=people,dc=example,dc=com\nobjectClass: inetOrgPerson\n\
             objectClass: inetLocalMailRecipient\ncn: user{user}\nsn: user{user}\nmail: user{user}@example.com\n\
             mailHost: sink.example.com\n"
        )?;
    }
    let file = folder.join("seed.ldif");
    std::fs::write(&file, ldif)?;
    let done = Command::new(find("slapadd", "slapd")?).arg("-q").arg("-f").arg(conf).arg("-l").arg(&file).output();
    let done = done.context("slapadd")?;
    ensure!(done.status.success(), "slapadd: {}", String::from_utf8_lossy(&done.stderr));
    Ok(())
}
