//! One small process that outlives the tests by a moment and ends everything they have started.
//!
//! Servers are shared in statics, which are never dropped, and a test run may be killed at any time. The keeper holds
//! the other end of a pipe; when the test process is gone, for whatever reason, the kernel closes it, and the keeper
//! kills every process group that it was told of and removes the scratch folder. The signal that the kernel can send
//! on a parent's death does not serve here: it comes with the death of the *thread* that started the child, which in
//! a test run ends with its test.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};

/// Has this process group killed when the tests end.
pub fn watch(group: u32) {
    tell(&format!("watch {group}"));
}

/// The group is gone; its number may come to mean somebody else.
pub fn forget(group: u32) {
    tell(&format!("forget {group}"));
}

/// A new folder that is removed when the tests end. Servers that drop their privileges can look into it.
pub fn folder(name: &str) -> PathBuf {
    static COUNT: AtomicUsize = AtomicUsize::new(1);
    let folder = KEEPER.scratch.join(format!("{name}{}", COUNT.fetch_add(1, Ordering::Relaxed)));
    open_folder(&folder);
    folder
}

/// The same in memory, where the machine has a file system there: for what would wait for a disk.
pub fn folder_in_memory(name: &str) -> PathBuf {
    static COUNT: AtomicUsize = AtomicUsize::new(1);
    let folder = KEEPER.memory.join(format!("{name}-m{}", COUNT.fetch_add(1, Ordering::Relaxed)));
    open_folder(&folder);
    folder
}

struct Keeper {
    scratch: PathBuf,
    /// The same folder where there is no other.
    memory: PathBuf,
    pipe: Mutex<ChildStdin>,
    _process: Child,
}

static KEEPER: LazyLock<Keeper> = LazyLock::new(|| {
    let scratch = tempfile::Builder::new().prefix("pc-it-").tempdir().expect("a temporary folder").keep();
    let memory = tempfile::Builder::new().prefix("pc-it-").tempdir_in(MEMORY).map(tempfile::TempDir::keep);
    let memory = memory.unwrap_or_else(|_| scratch.clone());
    for folder in [&scratch, &memory] {
        std::fs::set_permissions(folder, PermissionsExt::from_mode(0o755)).unwrap();
    }
    let mut process = Command::new("/bin/sh")
        .args(["-c", SCRIPT, "keeper"])
        .args([&scratch, &memory])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .current_dir("/")
        .process_group(0) // an interrupt from the keyboard is for the tests, not for their keeper
        .spawn()
        .expect("a shell");
    let pipe = Mutex::new(process.stdin.take().expect("it was asked for"));
    Keeper { scratch, memory, pipe, _process: process }
});

fn tell(line: &str) {
    let mut pipe = KEEPER.pipe.lock().unwrap_or_else(PoisonError::into_inner);
    writeln!(pipe, "{line}").expect("the keeper lives as long as the tests");
}

fn open_folder(folder: &Path) {
    std::fs::create_dir(folder).unwrap();
    std::fs::set_permissions(folder, PermissionsExt::from_mode(0o755)).unwrap();
}

const MEMORY: &str = "/dev/shm";

/// A stopped process (SIGSTOP) is ended by SIGKILL too. The second round is for children born during the first, and
/// the folder is removed again while dying servers may still write to it.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
groups=' '
while read -r verb group; do
    case $verb in
        watch) groups="$groups$group " ;;
        forget) groups="${groups%% "$group" *} ${groups#* "$group" }" ;;
    esac
done
for round in 1 2 3; do
    for group in $groups; do kill -s KILL -- "-$group"; done
    rm -rf -- "$1" "$2" && [ "$round" -gt 1 ] && exit 0
    sleep 0.1
done
"#;
