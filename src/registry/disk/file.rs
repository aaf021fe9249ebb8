//! The registry's file: who may read it, what may stand in its place, and how a damaged one is put aside.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use time::OffsetDateTime;

use super::DiskProblem;

/// Opens the file if there is one. `None`: there is nothing of this name yet.
///
/// A symbolic link in its place is refused, wherever that leads: the file would be made, or written to, where somebody
/// else wants it. The folders above may be links.
pub(super) fn open(path: &Path) -> Result<Option<File>, DiskProblem> {
    // Asked before it is opened: to open a FIFO or a device may do something.
    let kind = match path.symlink_metadata() {
        Ok(facts) => facts.file_type(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(DiskProblem::Open(error)),
    };
    if kind.is_symlink() {
        return Err(DiskProblem::Link(path.read_link().map_err(DiskProblem::Open)?));
    }
    if !kind.is_file() {
        return Err(DiskProblem::NoFile);
    }
    let file = options().open(path).map_err(DiskProblem::Open)?;
    own(&file, path, false).map_err(DiskProblem::Open)?;
    Ok(Some(file))
}

/// Opens or makes the file `NAME.new`, in which a new record is begun until it may have its name. It is readable by its
/// owner alone: it says who logs in from where. What a start that was killed has left in it is still there.
pub(super) fn open_new(path: &Path) -> Result<File, DiskProblem> {
    let file = options().create(true).open(new_name(path)).map_err(DiskProblem::Open)?;
    own(&file, path, true).map_err(DiskProblem::Open)?;
    Ok(file)
}

/// Gives the new file its name, durably. The caller has locked it, and found nothing of this name since.
pub(super) fn finish_new(path: &Path) -> io::Result<()> {
    std::fs::rename(new_name(path), path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// Removes the new file again.
pub(super) fn discard_new(path: &Path) {
    let _ = std::fs::remove_file(new_name(path));
}

fn new_name(path: &Path) -> PathBuf {
    with_suffix(path, ".new")
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(OWNER_ONLY).custom_flags(OFlag::O_NOFOLLOW.bits());
    options
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
    let aside = with_suffix(path, &format!(".damaged-{date}T{time}Z"));
    // Not a second one of the same second: what was put aside first is what may still be of use.
    if aside.symlink_metadata().is_ok() {
        return Err(io::Error::new(ErrorKind::AlreadyExists, format!("{} is there already", aside.display())));
    }
    std::fs::rename(path, &aside)?;
    Ok(aside)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    path.with_file_name(name)
}

const OWNER_ONLY: u32 = 0o600;
