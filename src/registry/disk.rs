//! The record in a file: an embedded database with a row for each address.
//!
//! The table in memory answers; the file is only read at start. A row is the users of an address, one a line, so that
//! a change is one write; each batch is durable before the next begins.
//!
//! The file may be damaged: every page is compared with its checksum at the start, so that what is read is what was
//! written. Which protocols are switched off for whom is in it, too; hence a damaged file is an error and not an empty
//! record, unless the operator says so ([`Disk::recreate_if_damaged`]).

// redb's error is large, and goes no further than this module.
#![allow(clippy::result_large_err)]

use std::fs::File;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{Builder, Database, ReadableTable, StorageBackend, TableDefinition};

use super::seen::{self, Protocols, Seen};
use super::switches::Off;
use super::table::Table;
use super::{ADDRESSES_MAX, Away, Batch, UNUSED};

mod damage;
mod file;
mod panic_guard;
#[cfg(test)]
mod tests;

pub use damage::Damage;
use damage::{CHANGED, CUT, EMPTY, FOREIGN, GIVEN_UP, OTHER_FORMAT};
use panic_guard::{GuardedFile, PanicGuard};

/// See the module.
#[derive(Clone)]
pub(super) struct Disk(Arc<OpenDatabase>);

struct OpenDatabase {
    /// `Some` until it is dropped.
    database: Option<Database>,
    guard: PanicGuard,
}

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DiskProblem {
    /// It cannot be opened or made, or reading or writing it failed.
    #[error("{0}")]
    Open(std::io::Error),
    /// Something else is in its place.
    #[error("it is not a regular file")]
    NoFile,
    /// Likewise; what it leads to.
    #[error("it is a symbolic link, to {}, and is not followed: name the file itself, or link its folder", .0.display())]
    Link(PathBuf),
    /// Another process has locked it.
    #[error("another process uses it; two gateways cannot share a file")]
    InUse,
    /// Its content is not what was written.
    #[error("it is damaged: {0}")]
    Damaged(Damage),
}

impl From<redb::Error> for DiskProblem {
    fn from(error: redb::Error) -> Self {
        use std::io::ErrorKind::{InvalidData, UnexpectedEof};
        match error {
            redb::Error::DatabaseAlreadyOpen => Self::InUse,
            redb::Error::Io(error) if error.kind() == InvalidData => Self::Damaged(Damage::new(FOREIGN, "")),
            redb::Error::Io(error) if error.kind() == UnexpectedEof => Self::Damaged(Damage::new(CUT, "")),
            redb::Error::Io(error) => Self::Open(error),
            error @ redb::Error::PreviousIo => Self::Open(std::io::Error::other(error)),
            error @ (redb::Error::UpgradeRequired(_)
            | redb::Error::TableTypeMismatch { .. }
            | redb::Error::TableIsMultimap(_)
            | redb::Error::TypeDefinitionChanged { .. }) => {
                Self::Damaged(Damage::new(OTHER_FORMAT, &error.to_string()))
            }
            // Checksums that are wrong, or anything else that only a changed file makes the database say.
            error => Self::Damaged(Damage::new(CHANGED, &error.to_string())),
        }
    }
}

/// An address as text → its users.
const ROWS: TableDefinition<'_, &str, &str> = TableDefinition::new("auth_ips");
/// A user → the protocols that are switched off.
const SWITCHED_OFF: TableDefinition<'_, &str, &str> = TableDefinition::new("switched_off");

impl Disk {
    /// Opens or makes the file, and puts what is still valid into the table. Blocks, for as long as it takes to read all.
    pub(super) fn open(path: &Path, now: u64, table: &mut Table) -> Result<Self, DiskProblem> {
        let disk = Self::open_checked(path)?;
        disk.load(now, table)?;
        Ok(disk)
    }

    /// Puts a damaged file aside, so that [`open`](Self::open) makes a new one; where it is then.
    pub(super) fn recreate_if_damaged(path: &Path) -> Result<Option<PathBuf>, DiskProblem> {
        let read = Self::open_checked(path).and_then(|disk| {
            // Their tables may be of other types.
            disk.load(0, &mut Table::new(UNUSED, ADDRESSES_MAX, 0))?;
            disk.switches()
        });
        match read {
            Err(DiskProblem::Damaged(damage)) => {
                let aside = file::put_aside(path).map_err(DiskProblem::Open)?;
                tracing::error!(file = %path.display(), why = %damage, aside = %aside.display(), "the registry's file was damaged: a new one is begun");
                Ok(Some(aside))
            }
            read => read.map(|_| None),
        }
    }

    fn open_checked(path: &Path) -> Result<Self, DiskProblem> {
        let mut open = OpenDatabase::at(path)?;
        if !open.check()? {
            tracing::error!(
                file = %path.display(),
                "the registry's file was damaged and has been repaired: its last change may be lost; see whether what you \
                 switched off last is off"
            );
        }
        Ok(Self(Arc::new(open)))
    }

    fn load(&self, now: u64, table: &mut Table) -> Result<(), DiskProblem> {
        self.cross(|database| {
            // Made here, so that reading finds it in a new file.
            let begun = database.begin_write()?;
            begun.open_table(ROWS)?;
            begun.open_table(SWITCHED_OFF)?;
            begun.commit()?;
            let reading = database.begin_read()?;
            for row in reading.open_table(ROWS)?.iter()? {
                let (address, users) = row?;
                let users = users.value().lines().filter_map(Seen::read).collect();
                if let Ok(address) = address.value().parse() {
                    table.restore(now, address, users);
                }
            }
            Ok(())
        })
    }

    /// Every call to the database.
    fn cross<T>(&self, work: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, DiskProblem> {
        self.0.cross(work)
    }

    /// What is switched off, as it was written last.
    pub(super) fn switches(&self) -> Result<Off, DiskProblem> {
        self.cross(|database| {
            let mut off = Off::new();
            for row in database.begin_read()?.open_table(SWITCHED_OFF)?.iter()? {
                let (user, protocols) = row?;
                let protocols = Protocols::read(protocols.value());
                if seen::is_name(user.value()) && !protocols.is_empty() {
                    off.insert(user.value().into(), protocols);
                }
            }
            Ok(off)
        })
    }

    /// Durable when it returns.
    pub(super) async fn switch(&self, user: String, off: Protocols) -> Result<(), Away> {
        self.blocking(move |database| {
            let writing = database.begin_write()?;
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
        self.blocking(move |database| write(database, &batch)).await
    }

    async fn blocking(
        &self,
        work: impl FnOnce(&Database) -> Result<(), redb::Error> + Send + 'static,
    ) -> Result<(), Away> {
        let disk = self.clone();
        let written = tokio::task::spawn_blocking(move || disk.cross(work)).await;
        match written {
            Ok(written) => written.map_err(|error| Away(error.to_string())),
            Err(_) => Err(Away("the writing task has ended".to_owned())),
        }
    }
}

fn write(database: &Database, batch: &[(IpAddr, Vec<Seen>)]) -> Result<(), redb::Error> {
    let writing = database.begin_write()?;
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
    Ok(writing.commit()?)
}

impl OpenDatabase {
    fn at(path: &Path) -> Result<Self, DiskProblem> {
        match file::open(path)? {
            Some(file) => Self::of(file),
            None => Self::begin(path),
        }
    }

    /// An empty file is damaged: none of ours is, see [`begin`](Self::begin).
    fn of(file: File) -> Result<Self, DiskProblem> {
        let guard = PanicGuard::default();
        let store = GuardedFile::lock(file, guard.clone())?;
        match store.len().map_err(DiskProblem::Open)? {
            0 => Err(DiskProblem::Damaged(Damage::new(EMPTY, ""))),
            _ => Self::on(store, guard),
        }
    }

    /// A new file gets its name when the database is in it, so that a crash leaves none that is empty or half written.
    fn begin(path: &Path) -> Result<Self, DiskProblem> {
        let guard = PanicGuard::default();
        let store = GuardedFile::lock(file::open_new(path)?, guard.clone())?;
        // Under the lock: another gateway may have begun and finished one in between.
        if let Some(file) = file::open(path)? {
            file::discard_new(path);
            return Self::of(file);
        }
        store.set_len(0).map_err(DiskProblem::Open)?;
        let begun = Self::on(store, guard)?;
        file::finish_new(path).map_err(DiskProblem::Open)?;
        Ok(begun)
    }

    fn on(store: GuardedFile, guard: PanicGuard) -> Result<Self, DiskProblem> {
        let database = guard.run(|| Builder::new().create_with_backend(store).map_err(redb::Error::from))?;
        Ok(Self { database: Some(database), guard })
    }

    /// Compares every page with its checksum. `false`: some were wrong, and what was committed before them is taken.
    fn check(&mut self) -> Result<bool, DiskProblem> {
        let Some(database) = &mut self.database else { return Ok(true) };
        self.guard.run(|| database.check_integrity().map_err(redb::Error::from))
    }

    fn cross<T>(&self, work: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, DiskProblem> {
        match &self.database {
            Some(database) => self.guard.run(|| work(database)),
            None => Err(DiskProblem::Damaged(Damage::new(GIVEN_UP, ""))),
        }
    }
}

impl Drop for OpenDatabase {
    fn drop(&mut self) {
        self.guard.drop_quietly(self.database.take());
    }
}
