//! The record in a file: an embedded database with a row for each address.
//!
//! The table in memory answers; the file is only read at start. A row is the users of an address, one a line, so that
//! a change is one write; each batch is durable before the next begins.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use redb::{Database, ReadableTable, TableDefinition};

use super::seen::{self, Protocols, Seen};
use super::switches::Off;
use super::table::Table;
use super::{Away, Batch};

/// See the module.
#[derive(Clone)]
pub(super) struct Disk(Arc<Database>);

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct DiskProblem(Box<redb::Error>);

impl<E: Into<redb::Error>> From<E> for DiskProblem {
    fn from(error: E) -> Self {
        Self(Box::new(error.into()))
    }
}

/// An address as text → its users.
const ROWS: TableDefinition<'_, &str, &str> = TableDefinition::new("auth_ips");
/// A user → the protocols that are switched off.
const SWITCHED_OFF: TableDefinition<'_, &str, &str> = TableDefinition::new("switched_off");

impl Disk {
    /// Opens or makes the file, and puts what is still valid into the table. Blocks.
    pub(super) fn open(path: &Path, now: u64, table: &mut Table) -> Result<Self, DiskProblem> {
        let database = Database::create(path)?;
        let disk = Self(Arc::new(database));
        disk.load(now, table)?;
        Ok(disk)
    }

    fn load(&self, now: u64, table: &mut Table) -> Result<(), DiskProblem> {
        // Made here, so that reading finds it in a new file.
        let begun = self.0.begin_write()?;
        begun.open_table(ROWS)?;
        begun.open_table(SWITCHED_OFF)?;
        begun.commit()?;
        let reading = self.0.begin_read()?;
        for row in reading.open_table(ROWS)?.iter()? {
            let (address, users) = row?;
            let users = users.value().lines().filter_map(Seen::read).collect();
            if let Ok(address) = address.value().parse() {
                table.restore(now, address, users);
            }
        }
        Ok(())
    }

    /// What is switched off, as it was written last.
    pub(super) fn switches(&self) -> Result<Off, DiskProblem> {
        let mut off = Off::new();
        for row in self.0.begin_read()?.open_table(SWITCHED_OFF)?.iter()? {
            let (user, protocols) = row?;
            let protocols = Protocols::read(protocols.value());
            if seen::is_name(user.value()) && !protocols.is_empty() {
                off.insert(user.value().into(), protocols);
            }
        }
        Ok(off)
    }

    /// Durable when it returns.
    pub(super) async fn switch(&self, user: String, off: Protocols) -> Result<(), Away> {
        self.blocking(move |disk| {
            let writing = disk.0.begin_write()?;
            {
                let mut rows = writing.open_table(SWITCHED_OFF)?;
                if off.is_empty() {
                    rows.remove(user.as_str())?;
                } else {
                    rows.insert(user.as_str(), off.to_string().as_str())?;
                }
            }
            Ok(writing.commit()?)
        })
        .await
    }

    /// Durable when it returns.
    pub(super) async fn write(&self, batch: Batch) -> Result<(), Away> {
        self.blocking(move |disk| disk.write_blocking(&batch)).await
    }

    async fn blocking(&self, work: impl FnOnce(&Self) -> Result<(), DiskProblem> + Send + 'static) -> Result<(), Away> {
        let disk = self.clone();
        let written = tokio::task::spawn_blocking(move || work(&disk)).await;
        match written {
            Ok(written) => written.map_err(|error| Away(error.to_string())),
            Err(_) => Err(Away("the writing task has ended".to_owned())),
        }
    }

    fn write_blocking(&self, batch: &[(IpAddr, Vec<Seen>)]) -> Result<(), DiskProblem> {
        let writing = self.0.begin_write()?;
        {
            let mut rows = writing.open_table(ROWS)?;
            for (address, users) in batch {
                let address = address.to_string();
                if users.is_empty() {
                    rows.remove(address.as_str())?;
                } else {
                    let users: String = users.iter().map(|seen| format!("{seen}\n")).collect();
                    rows.insert(address.as_str(), users.as_str())?;
                }
            }
        }
        writing.commit()?;
        Ok(())
    }
}
