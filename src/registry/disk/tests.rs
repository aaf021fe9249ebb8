//! The file as a hostile world leaves it: cut short, with bits that have changed, in the place of something else.

use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tempfile::TempDir;

use super::*;
use crate::proto::Protocol;

const NOW: u64 = 1_800_000_000;

/// In memory where the machine has such a folder: thousands of files are opened, and each is synchronised.
fn folder() -> TempDir {
    TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).expect("a folder")
}

fn table() -> Table {
    Table::new(UNUSED, ADDRESSES_MAX, NOW)
}

fn address(number: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, number).into()
}

fn row(number: u8, user: &str) -> (IpAddr, Vec<Seen>) {
    let protocols = Protocols::default().with(Protocol::Imap);
    (address(number), vec![Seen { user: user.into(), until: NOW + UNUSED, protocols }])
}

/// What a file says: the user of each address, and what is switched off.
#[derive(Debug, PartialEq, Eq, Clone)]
struct Content(Vec<Option<String>>, Vec<(String, String)>);

fn content(path: &Path) -> Result<Content, DiskProblem> {
    let mut table = table();
    let disk = Disk::open(path, NOW, &mut table)?;
    let mut off: Vec<_> = disk.switches()?.iter().map(|(user, off)| (user.to_string(), off.to_string())).collect();
    off.sort();
    let user = |number| table.users(NOW, address(number)).first().map(|seen| seen.user.to_string());
    Ok(Content((0..=u8::MAX).map(user).collect(), off))
}

/// A file as one gateway leaves it, and all that it has ever said. `closed`: in good order; else as a kill leaves it.
async fn written(folder: &Path, closed: bool) -> (Vec<u8>, Vec<Content>) {
    let (path, copy) = (folder.join("good.redb"), folder.join("copy.redb"));
    let mut said = vec![content(&path).expect("a new file")];
    let disk = Disk::open(&path, NOW, &mut table()).expect("a file");
    for round in 0..4_u8 {
        let batch =
            (0..=u8::MAX).filter(|number| number % 4 <= round).map(|number| row(number, &format!("user{round}")));
        disk.write(batch.collect()).await.expect("a disk");
        std::fs::copy(&path, &copy).expect("a copy");
        said.push(content(&copy).expect("as after a kill"));
        disk.switch(format!("off{round}"), Protocols::default().with(Protocol::Pop3)).await.expect("a disk");
        std::fs::copy(&path, &copy).expect("a copy");
        said.push(content(&copy).expect("as after a kill"));
    }
    if closed {
        drop(disk);
    }
    (std::fs::read(&path).expect("a file"), said)
}

#[tokio::test]
async fn a_good_file_is_not_called_repaired_however_it_was_left() {
    for closed in [true, false] {
        let folder = folder();
        let path = folder.path().join("good-again.redb");
        std::fs::write(&path, written(folder.path(), closed).await.0).expect("a file");
        for _start in 0..3 {
            assert!(
                OpenDatabase::at(&path).and_then(|mut open| open.check()).expect("a good file"),
                "closed: {closed}"
            );
            content(&path).expect("a good file");
        }
    }
}

#[derive(Debug, Clone)]
enum Damage {
    /// Bits of the byte at the place are inverted.
    Flip(Vec<(Place, u8)>),
    Cut(Place),
    /// Zeros, as a file system leaves them after a crash.
    Blank(Place, usize),
    Longer(usize),
}

/// In a file of a megabyte most is empty.
#[derive(Debug, Clone)]
enum Place {
    Header(usize),
    Used(prop::sample::Index),
    Any(prop::sample::Index),
}

impl Damage {
    fn any() -> impl Strategy<Value = Self> {
        let place = || {
            prop_oneof![
                2 => (0..320_usize).prop_map(Place::Header),
                2 => any::<prop::sample::Index>().prop_map(Place::Used),
                1 => any::<prop::sample::Index>().prop_map(Place::Any),
            ]
        };
        prop_oneof![
            6 => prop::collection::vec((place(), 1..=255_u8), 1..4).prop_map(Self::Flip),
            1 => place().prop_map(Self::Cut),
            1 => (place(), 1..8192_usize).prop_map(|(place, length)| Self::Blank(place, length)),
            1 => (1..8192_usize).prop_map(Self::Longer),
        ]
    }

    fn of(&self, good: &[u8]) -> Vec<u8> {
        let mut bytes = good.to_vec();
        match self {
            Self::Flip(flips) => flips.iter().for_each(|(place, bits)| bytes[place.of(good)] ^= bits),
            Self::Cut(place) => bytes.truncate(place.of(good)),
            Self::Blank(place, length) => {
                bytes.iter_mut().skip(place.of(good)).take(*length).for_each(|byte| *byte = 0)
            }
            Self::Longer(length) => bytes.resize(good.len() + length, 0xff),
        }
        bytes
    }
}

impl Place {
    fn of(&self, good: &[u8]) -> usize {
        match self {
            Self::Header(at) => *at,
            Self::Any(index) => index.index(good.len()),
            Self::Used(index) => {
                let start = index.index(good.len());
                (start..good.len()).find(|&at| good[at] != 0).unwrap_or(start)
            }
        }
    }
}

fn run<T: std::fmt::Debug>(cases: u32, input: &impl Strategy<Value = T>, test: impl Fn(T)) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(input, |input| {
        test(input);
        Ok(())
    });
    outcome.expect("it holds");
}

/// The first start either has what was once written, or says that the file is damaged; so does the next one.
fn is_read_or_refused(path: &Path, said: &[Content]) {
    for _start in 0..2 {
        match content(path) {
            Ok(content) => assert!(said.contains(&content), "it says what nobody wrote: {content:?}"),
            Err(DiskProblem::Damaged(why)) => {
                assert!(!why.what().is_empty() && !why.internal().contains('\n'), "{why:?}")
            }
            Err(other) => panic!("not what is wrong: {other}"),
        }
    }
}

#[tokio::test]
async fn a_damaged_file_is_read_as_it_was_written_or_is_an_error_and_never_a_panic() {
    for closed in [true, false] {
        let folder = folder();
        let (good, said) = written(folder.path(), closed).await;
        let path = folder.path().join("damaged.redb");
        run(60, &Damage::any(), |damage| {
            std::fs::write(&path, damage.of(&good)).expect("a file");
            is_read_or_refused(&path, &said);
        });
    }
}

#[tokio::test]
async fn a_name_with_a_letter_that_has_changed_is_nobody_elses() {
    let folder = folder();
    let (mut bytes, said) = written(folder.path(), true).await;
    for name in ["off3", "user3"] {
        let places: Vec<_> = memchr::memmem::find_iter(&bytes, name).collect();
        assert!(!places.is_empty(), "{name} is in the file");
        places.into_iter().for_each(|at| bytes[at] ^= 1);
        let path = folder.path().join(name);
        std::fs::write(&path, &bytes).expect("a file");
        is_read_or_refused(&path, &said);
    }
}

#[tokio::test]
async fn bits_all_over_the_first_page_may_change() {
    let folder = folder();
    let (good, said) = written(folder.path(), true).await;
    let path = folder.path().join("damaged.redb");
    let mut refused = 0;
    for (at, bit) in (0..320).step_by(7).map(|at| (at, at % 8)) {
        let mut bytes = good.clone();
        bytes[at] ^= 1 << bit;
        std::fs::write(&path, bytes).expect("a file");
        refused += usize::from(content(&path).is_err());
        is_read_or_refused(&path, &said);
    }
    assert!(refused > 2, "only {refused} of them matter");
}

#[test]
fn a_file_that_is_damaged_while_it_is_used_refuses_changes_and_never_panics() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let folder = folder();
    let (good, _) = runtime.block_on(written(folder.path(), true));
    let path = folder.path().join("used.redb");
    run(20, &Damage::any(), |damage| {
        std::fs::write(&path, &good).expect("a file");
        let disk = Disk::open(&path, NOW, &mut table()).expect("it is good");
        // The same file, not another of its name.
        std::fs::write(&path, damage.of(&good)).expect("a file");
        runtime.block_on(async {
            for number in 0..3 {
                let off = Protocols::default().with(Protocol::Imap);
                let _ = disk.switch(format!("later{number}"), off).await;
                let _ = disk.write(vec![row(number, "later")]).await;
                let _ = disk.switches();
            }
        });
        drop(disk);
        assert!(matches!(content(&path), Ok(_) | Err(DiskProblem::Damaged(_))));
    });
}

#[tokio::test]
async fn what_panicked_once_is_not_asked_again() {
    let folder = folder();
    let disk = Disk::open(&folder.path().join("pc.redb"), NOW, &mut table()).expect("a file");
    let failed = disk.blocking(|_| panic!("on\npurpose")).await.expect_err("an error");
    assert_eq!(failed, Away(format!("it is damaged: {CHANGED} (internal reason: on purpose)")));
    let again = disk.write(vec![row(1, "alice")]).await.expect_err("an error");
    assert_eq!(again, Away(format!("it is damaged: {GIVEN_UP}")));
}

#[tokio::test]
async fn a_damaged_file_is_put_aside_when_that_is_asked_for_and_no_other_is() {
    let folder = folder();
    let (good, said) = written(folder.path(), true).await;
    let path = folder.path().join("pc.redb");
    std::fs::write(&path, &good).expect("a file");
    assert_eq!(Disk::recreate_if_damaged(&path).expect("a good file"), None);
    assert_eq!(content(&path).ok().as_ref(), said.last());
    let cut = &good[..good.len() / 2];
    std::fs::write(&path, cut).expect("a file");
    assert!(matches!(content(&path), Err(DiskProblem::Damaged(_))));
    let aside = Disk::recreate_if_damaged(&path).expect("a damaged file").expect("it is put aside");
    let name = aside.file_name().and_then(|name| name.to_str()).expect("a name");
    assert!(name.starts_with("pc.redb.damaged-2") && name.ends_with('Z'), "{name}");
    assert_eq!(std::fs::read(&aside).expect("a file").len(), cut.len());
    assert_eq!(content(&path).ok(), said.first().cloned(), "a new one");
    let folder_instead = folder.path().join("folder");
    std::fs::create_dir(&folder_instead).expect("a folder");
    assert!(matches!(Disk::recreate_if_damaged(&folder_instead), Err(DiskProblem::NoFile)));
}

#[tokio::test]
async fn a_link_is_not_followed_and_what_is_no_file_is_refused() {
    let folder = folder();
    let (link, elsewhere) = (folder.path().join("pc.redb"), folder.path().join("elsewhere"));
    symlink(&elsewhere, &link).expect("a link");
    for step in ["dangling", "to a file"] {
        match content(&link) {
            Err(DiskProblem::Link(to)) => assert_eq!(to, elsewhere, "{step}"),
            other => panic!("{step}: {other:?}"),
        }
        assert!(matches!(Disk::recreate_if_damaged(&link), Err(DiskProblem::Link(_))), "{step}");
        assert_eq!(elsewhere.exists(), step == "to a file", "nothing is made where it leads");
        std::fs::write(&elsewhere, "").expect("a file");
    }
    assert_eq!(std::fs::read(&elsewhere).expect("a file").len(), 0);
    assert!(matches!(content(folder.path()), Err(DiskProblem::NoFile)));
    let socket = folder.path().join("socket");
    let _socket = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
    assert!(matches!(content(&socket), Err(DiskProblem::NoFile)));
    assert!(matches!(content(&folder.path().join("no/folder")), Err(DiskProblem::Open(_))));
}

#[test]
fn an_empty_file_is_damaged_and_never_what_a_killed_start_has_left() {
    let folder = folder();
    let path = folder.path().join("pc.redb");
    let names = || {
        let files = folder.path().read_dir().expect("a folder").map(|file| file.expect("a file").file_name());
        files.filter_map(|name| name.into_string().ok()).collect::<Vec<_>>()
    };
    // Before it has its name, a new file may be left in any state.
    for left in [None, Some(&b""[..]), Some(b"half of it")] {
        if let Some(left) = left {
            std::fs::write(folder.path().join("pc.redb.new"), left).expect("a file");
        }
        content(&path).expect("a new record");
        assert_eq!(names(), ["pc.redb"], "{left:?}");
        std::fs::remove_file(&path).expect("it is ours");
    }
    std::fs::write(&path, "").expect("a file");
    for _start in 0..2 {
        assert!(matches!(content(&path), Err(DiskProblem::Damaged(why)) if why == super::Damage::new(EMPTY, "")));
    }
    let aside = Disk::recreate_if_damaged(&path).expect("a damaged file").expect("it is put aside");
    content(&path).expect("a new record");
    assert_eq!(aside.metadata().expect("a file").len(), 0);
    assert_eq!(names().len(), 2);
}

#[test]
fn a_new_file_is_begun_by_one_gateway_and_not_behind_a_link() {
    let folder = folder();
    let (path, new) = (folder.path().join("pc.redb"), folder.path().join("pc.redb.new"));
    let other = file::open_new(&path).expect("another gateway begins");
    let _locked = GuardedFile::lock(other, PanicGuard::default()).expect("a lock");
    assert!(matches!(content(&path), Err(DiskProblem::InUse)));
    assert!(!path.exists());
    std::fs::remove_file(&new).expect("it is ours");
    symlink(folder.path().join("elsewhere"), &new).expect("a link");
    assert!(matches!(content(&path), Err(DiskProblem::Open(_))));
    assert!(!folder.path().join("elsewhere").exists() && !path.exists());
}

#[test]
fn the_file_is_its_owners_alone() {
    let folder = folder();
    let path = folder.path().join("pc.redb");
    let mode = || path.metadata().expect("a file").permissions().mode() & 0o7777;
    content(&path).expect("a new file");
    assert_eq!(mode(), 0o600);
    for before in [0o644, 0o660, 0o4755] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(before)).expect("it is ours");
        content(&path).expect("a file");
        assert_eq!(mode(), 0o600, "{before:o}");
    }
}

#[tokio::test]
async fn two_gateways_cannot_have_one_file_and_it_is_not_called_damaged() {
    let folder = folder();
    let path = folder.path().join("pc.redb");
    let _first = Disk::open(&path, NOW, &mut table()).expect("a file");
    assert!(matches!(content(&path), Err(DiskProblem::InUse)));
    assert!(matches!(Disk::recreate_if_damaged(&path), Err(DiskProblem::InUse)));
}
