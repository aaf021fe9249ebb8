//! The border to the embedded database: nothing that a damaged file makes it do gets past this.
//!
//! redb trusts what it wrote: where a byte has changed, it may fail an assertion instead of returning an error. So every
//! call to it goes through [`PanicGuard::run`], which turns a panic into an error and then cuts the database off from its
//! file; and the file is read through [`GuardedFile`], which refuses a length that no file has before memory is taken for it.

use std::any::Any;
use std::cell::Cell;
use std::fs::File;
use std::io;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Once};

use redb::StorageBackend;
use redb::backends::FileBackend;

use super::DiskProblem;
use super::damage::{CHANGED, Damage, GIVEN_UP};

/// Whether the database has panicked. Then it is not asked again.
#[derive(Debug, Clone, Default)]
pub(super) struct PanicGuard(Arc<AtomicBool>);

impl PanicGuard {
    /// Runs `work`, which calls the database.
    ///
    /// # Errors
    /// Its own, and [`DiskProblem::Damaged`] when it panicked, now or earlier.
    pub(super) fn run<T, E>(&self, work: impl FnOnce() -> Result<T, E>) -> Result<T, DiskProblem>
    where
        E: Into<DiskProblem>,
    {
        if self.0.load(Ordering::Acquire) {
            return Err(DiskProblem::Damaged(Damage::new(GIVEN_UP, "")));
        }
        // What a panic leaves half done is the database's own state. Nobody looks at it again, and `GuardedFile` keeps it away
        // from the file.
        match quietly(|| catch_unwind(AssertUnwindSafe(work))) {
            Ok(done) => done.map_err(Into::into),
            Err(panic) => {
                self.0.store(true, Ordering::Release);
                Err(DiskProblem::Damaged(Damage::new(CHANGED, words(panic.as_ref()))))
            }
        }
    }

    /// Drops the database, which then writes to its file once more, unless it has panicked. That may panic, too.
    pub(super) fn drop_quietly<T>(&self, database: T) {
        let _ = quietly(|| catch_unwind(AssertUnwindSafe(|| drop(database))));
    }
}

/// The file as the database sees it.
#[derive(Debug)]
pub(super) struct GuardedFile {
    file: FileBackend,
    guard: PanicGuard,
}

impl GuardedFile {
    /// Locks the file for this process.
    ///
    /// # Errors
    /// Another process has it.
    pub(super) fn lock(file: File, guard: PanicGuard) -> Result<Self, DiskProblem> {
        Ok(Self { file: FileBackend::new(file).map_err(redb::Error::from)?, guard })
    }

    fn is_usable(&self) -> io::Result<()> {
        match self.guard.0.load(Ordering::Acquire) {
            true => Err(io::Error::other("the database has given up")),
            false => Ok(()),
        }
    }
}

impl StorageBackend for GuardedFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        self.is_usable()?;
        // The length comes from the file, and memory for it is taken first.
        let end = offset.checked_add(len as u64);
        if end.is_none_or(|end| self.file.len().is_ok_and(|len| end > len)) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.file.read(offset, len)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.is_usable()?;
        self.file.set_len(len)
    }

    fn sync_data(&self, eventual: bool) -> io::Result<()> {
        self.is_usable()?;
        self.file.sync_data(eventual)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.is_usable()?;
        self.file.write(offset, data)
    }
}

thread_local! {
    /// A panic on this thread becomes an error, and is not printed.
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
}

/// A panic in `work` prints nothing.
fn quietly<T>(work: impl FnOnce() -> T) -> T {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !IS_QUIET.get() {
                print(panic);
            }
        }));
    });
    let before = IS_QUIET.replace(true);
    let done = work();
    IS_QUIET.set(before);
    done
}

/// What a panic said.
fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic")
}
