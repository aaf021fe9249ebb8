//! The registry's file: who may read it, what may stand in its place, and how a damaged one is put aside.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use time::OffsetDateTime;

use super::DiskProblem;

/// Opens the file, or makes it. It is readable by its owner alone: it says who logs in from where.
///
/// A symbolic link in its place is refused, wherever that leads: the file would be made, or written to, where somebody
/// else wants it. The folders above may be links.
pub(super) fn open(path: &Path) -> Result<File, DiskProblem> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(OWNER_ONLY).custom_flags(OFlag::O_NOFOLLOW.bits());
    let (file, is_new) = match options.clone().create_new(true).open(path) {
        Ok(file) => (file, true),
        // Asked before it is opened: to open a FIFO or a device may do something.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => (open_existing(&options, path)?, false),
        Err(error) => return Err(DiskProblem::Open(error)),
    };
    own(&file, path, is_new).map_err(DiskProblem::Open)?;
    if !is_new && file.metadata().map_err(DiskProblem::Open)?.len() == 0 {
        tracing::warn!(file = %path.display(), "the registry's file was empty: the record begins anew");
    }
    Ok(file)
}

fn open_existing(options: &OpenOptions, path: &Path) -> Result<File, DiskProblem> {
    let kind = path.symlink_metadata().map_err(DiskProblem::Open)?.file_type();
    if kind.is_symlink() {
        return Err(DiskProblem::Link(path.read_link().map_err(DiskProblem::Open)?));
    }
    if !kind.is_file() {
        return Err(DiskProblem::NoFile);
    }
    options.open(path).map_err(DiskProblem::Open)
}

/// Makes it the owner's alone: a new one whatever the umask, an old one with a warning.
fn own(file: &File, path: &Path, is_new: bool) -> io::Result<()> {
    let mode = file.metadata()?.permissions().mode() & 0o7777;
    if is_new && mode != OWNER_ONLY {
        file.set_permissions(Permissions::from_mode(OWNER_ONLY))?;
    } else if mode & !OWNER_ONLY != 0 {
        let (file_path, before) = (path.display(), format!("{mode:04o}"));
        match file.set_permissions(Permissions::from_mode(OWNER_ONLY)) {
            Ok(()) => {
                tracing::warn!(file = %file_path, before, "others could read the registry's file; its mode is 0600 now")
            }
            Err(error) => {
                tracing::warn!(file = %file_path, mode = before, %error, "others can read the registry's file: `chmod 600` it");
            }
        }
    }
    Ok(())
}

/// Renames a damaged file to `NAME.damaged-TIME`, which is returned.
pub(super) fn put_aside(path: &Path) -> io::Result<PathBuf> {
    let now = OffsetDateTime::now_utc();
    let (date, time) = (now.date(), now.time());
    let date = format!("{}{:02}{:02}", date.year(), u8::from(date.month()), date.day());
    let time = format!("{:02}{:02}{:02}", time.hour(), time.minute(), time.second());
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".damaged-{date}T{time}Z"));
    let aside = path.with_file_name(name);
    // Not a second one of the same second: what was put aside first is what may still be of use.
    if aside.symlink_metadata().is_ok() {
        return Err(io::Error::new(ErrorKind::AlreadyExists, format!("{} is there already", aside.display())));
    }
    std::fs::rename(path, &aside)?;
    Ok(aside)
}

const OWNER_ONLY: u32 = 0o600;
