//! A log on real file systems; and its end.

mod closing;

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
    time::{Duration, Instant},
};

use flate2::read::MultiGzDecoder;
use jiff::Timestamp;
use rustix::{
    mount::{
        MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_change, unmount,
    },
    thread::{UnshareFlags, unshare_unsafe},
};
use tempfile::TempDir;

use super::{
    super::config::Rotation,
    folder::Folder,
    output::{Output, Unwritten},
    plan::{self, Form},
};

const NONE: Rotation = Rotation { max_size: None, max_age: None, max_total: None };
const SMALL: Rotation = Rotation { max_size: Some(2_000), max_age: None, max_total: None };

fn line(number: usize) -> String {
    format!("line {number:06} of a log that is rotated while it is written\n")
}

/// Everything in a folder: numbers of lines and how often each is there. All lines have to be whole.
fn lines(folder: &Path) -> BTreeMap<usize, usize> {
    let mut found = BTreeMap::new();
    for path in files(folder) {
        let mut text = String::new();
        let file = File::open(&path).unwrap();
        if path.extension().is_some_and(|e| e == "gz") {
            MultiGzDecoder::new(file).read_to_string(&mut text).unwrap();
        } else {
            (&file).read_to_string(&mut text).unwrap();
        }
        for one in text.split_inclusive('\n') {
            let number = one[5..11].parse().unwrap();
            assert_eq!(one, line(number), "{}", path.display());
            *found.entry(number).or_default() += 1;
        }
    }
    found
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all
}

fn once(numbers: impl IntoIterator<Item = usize>) -> BTreeMap<usize, usize> {
    numbers.into_iter().map(|number| (number, 1)).collect()
}

fn tidied(log: &Path, rotation: Rotation) {
    Folder::of(log).unwrap().tidy(rotation, &AtomicBool::new(false)).unwrap();
}

/// Waits, but not for ever.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn every_line_is_there_once_over_rotations() {
    let folder = TempDir::new().unwrap();
    let log = folder.path().join("flows.log");
    let mut output = Output::open(&log, SMALL).unwrap();
    for number in 0..10_000 {
        output.write(line(number).as_bytes()).unwrap();
    }
    // 35 lines of 56 bytes fit.
    assert_eq!(output.rotations(), 285);
    drop(output);
    tidied(&log, SMALL);
    let all = files(folder.path());
    assert_eq!(all.len(), 286);
    assert!(all[1..].iter().all(|path| path.extension().is_some_and(|e| e == "gz")));
    assert_eq!(lines(folder.path()), once(0..10_000));
    for path in all {
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o640, "{path:?}");
    }
}

#[test]
fn the_oldest_go_first_and_the_total_holds() {
    let folder = TempDir::new().unwrap();
    let log = folder.path().join("flows.log");
    let rotation = Rotation { max_total: Some(20_000), ..SMALL };
    let mut output = Output::open(&log, rotation).unwrap();
    fs::write(folder.path().join("flows.log.1"), line(999_999)).unwrap();
    for number in 0..1_000 {
        output.write(line(number).as_bytes()).unwrap();
    }
    drop(output);
    tidied(&log, rotation);
    let mut kept = lines(folder.path());
    assert_eq!(kept.remove(&999_999), Some(1), "a file of somebody else's");
    // 28 files of 35 lines, and 20 lines; four blocks fit beside 2,000 bytes.
    assert_eq!(kept, once(24 * 35..1_000));
    assert_eq!(files(folder.path()).len(), 4 + 2);
}

#[test]
fn an_old_file_gives_way_with_its_next_line() {
    let folder = TempDir::new().unwrap();
    let log = folder.path().join("flows.log");
    let age = Rotation { max_age: Some(Duration::from_millis(100)), ..NONE };
    let mut output = Output::open(&log, age).unwrap();
    output.write(line(0).as_bytes()).unwrap();
    let born = fs::metadata(&log).unwrap().created().unwrap();
    until("it is old", || born.elapsed().unwrap() >= Duration::from_millis(100));
    output.write(line(1).as_bytes()).unwrap();
    assert_eq!(output.rotations(), 1);
    assert_eq!(fs::read_to_string(&log).unwrap(), line(1));
    drop(output);
    assert_eq!(lines_whatever_form(folder.path()), once(0..2));
}

/// A compression may be under way, so that a file can be there in two forms.
fn lines_whatever_form(folder: &Path) -> BTreeMap<usize, usize> {
    for path in files(folder).iter().filter(|path| path.extension().is_some_and(|e| e == "part")) {
        fs::remove_file(path).unwrap();
    }
    lines(folder).into_keys().map(|number| (number, 1)).collect()
}

#[test]
fn an_interrupted_compression_is_finished() {
    let folder = TempDir::new().unwrap();
    let log = folder.path().join("flows.log");
    File::create(&log).unwrap();
    let place = Folder::of(&log).unwrap();
    let at = |second: i64| Timestamp::from_second(1_795_622_400 + second).unwrap();
    // Killed while it compressed, between the renaming and the removing, and after somebody removed the plain file.
    fs::write(place.path(at(1), Form::Plain), line(1)).unwrap();
    fs::write(place.path(at(1), Form::Unfinished), "half").unwrap();
    fs::write(place.path(at(2), Form::Plain), line(2)).unwrap();
    fs::write(place.path(at(2), Form::Compressed), "who knows").unwrap();
    fs::write(place.path(at(3), Form::Unfinished), "half").unwrap();
    // Told to stop, it begins nothing.
    place.tidy(SMALL, &AtomicBool::new(true)).unwrap();
    assert_eq!(files(folder.path()).len(), 6);
    place.tidy(SMALL, &AtomicBool::new(false)).unwrap();
    assert_eq!(
        files(folder.path()),
        [log.clone(), place.path(at(1), Form::Compressed), place.path(at(2), Form::Compressed)]
    );
    assert_eq!(lines(folder.path()), once(1..3));
    // The next start does it by itself.
    fs::write(place.path(at(4), Form::Plain), line(4)).unwrap();
    let output = Output::open(&log, SMALL).unwrap();
    until("it is compressed", || !place.path(at(4), Form::Plain).exists());
    drop(output);
    assert_eq!(lines(folder.path()), once([1, 2, 4]));
}

#[test]
fn links_are_not_compressed() {
    let folder = TempDir::new().unwrap();
    let log = folder.path().join("flows.log");
    let secret = folder.path().join("secret");
    File::create(&log).unwrap();
    fs::write(&secret, "theirs").unwrap();
    let link = folder.path().join(plan::name("flows.log", Timestamp::UNIX_EPOCH, Form::Plain));
    std::os::unix::fs::symlink(&secret, &link).unwrap();
    tidied(&log, SMALL);
    assert_eq!(files(folder.path()), [log, link, secret]);
}

#[test]
fn a_log_that_is_a_link_is_rotated_where_it_leads() {
    let folder = TempDir::new().unwrap();
    let (here, there) = (folder.path().join("here"), folder.path().join("there"));
    fs::create_dir(&here).unwrap();
    fs::create_dir(&there).unwrap();
    let link = here.join("flows.log");
    std::os::unix::fs::symlink(there.join("data"), &link).unwrap();
    let mut output = Output::open(&link, SMALL).unwrap();
    for number in 0..100 {
        output.write(line(number).as_bytes()).unwrap();
    }
    drop(output);
    tidied(&link, SMALL);
    assert_eq!(files(&here), [link]);
    assert_eq!(lines(&there), once(0..100));
    assert_eq!(files(&there).len(), 3);
}

#[test]
fn what_a_crash_left_of_a_line_is_cut_off() {
    let folder = TempDir::new().unwrap();
    let log = folder.path().join("flows.log");
    fs::write(&log, format!("{}line 0000", line(0))).unwrap();
    let mut output = Output::open(&log, NONE).unwrap();
    output.write(line(1).as_bytes()).unwrap();
    assert_eq!(fs::read_to_string(&log).unwrap(), format!("{}{}", line(0), line(1)));
    drop(output);
    // Whose text this is nobody knows.
    fs::write(&log, "a text").unwrap();
    Output::open(&log, NONE).unwrap().write(line(1).as_bytes()).unwrap();
    assert_eq!(fs::read_to_string(&log).unwrap(), format!("a text\n{}", line(1)));
}

#[test]
fn two_do_not_write_the_same_file() {
    let folder = TempDir::new().unwrap();
    let log = folder.path().join("flows.log");
    let first = Output::open(&log, NONE).unwrap();
    let error = Output::open(&log, NONE).map(drop).unwrap_err();
    assert_eq!(error.to_string(), "another process writes it");
    drop(first);
    assert!(Output::open(&log, NONE).is_ok());
}

#[test]
fn renamed_removed_and_replaced() {
    let folder = TempDir::new().unwrap();
    let log = folder.path().join("flows.log");
    let mut output = Output::open(&log, NONE).unwrap();
    output.write(line(0).as_bytes()).unwrap();
    fs::rename(&log, folder.path().join("flows.log.1")).unwrap();
    output.write(line(1).as_bytes()).unwrap();
    assert!(!log.exists(), "not at once: whoever renamed it will say so");
    output.hang_up();
    output.write(line(2).as_bytes()).unwrap();
    assert_eq!(fs::read_to_string(&log).unwrap(), line(2));
    assert_eq!(lines(folder.path()), once(0..3));
    // Nothing happened to it.
    output.hang_up();
    output.write(line(3).as_bytes()).unwrap();
    // Renamed, and nobody says so.
    fs::rename(&log, folder.path().join("flows.log.2")).unwrap();
    let mut next = 4;
    until("it is missed", || {
        output.write(line(next).as_bytes()).unwrap();
        next += 1;
        log.exists()
    });
    assert_eq!(lines(folder.path()), once(0..next));
    // Removed: what was in it is gone, what comes is not.
    fs::remove_file(&log).unwrap();
    output.write(line(next).as_bytes()).unwrap();
    assert_eq!(fs::read_to_string(&log).unwrap(), line(next));
    // Cut to nothing by one who copied it before.
    File::options().write(true).open(&log).unwrap().set_len(0).unwrap();
    output.write(line(0).as_bytes()).unwrap();
    assert_eq!(fs::read_to_string(&log).unwrap(), line(0));
}

#[test]
fn a_directory_that_vanishes_and_comes_back() {
    let folder = TempDir::new().unwrap();
    let inside = folder.path().join("inside");
    fs::create_dir(&inside).unwrap();
    let log = inside.join("flows.log");
    let mut output = Output::open(&log, SMALL).unwrap();
    output.write(line(0).as_bytes()).unwrap();
    fs::remove_dir_all(&inside).unwrap();
    for _ in 0..2 {
        let Unwritten { written, error } = output.write(line(1).as_bytes()).unwrap_err();
        assert_eq!((written, error.kind()), (0, std::io::ErrorKind::NotFound));
    }
    output.hang_up();
    fs::create_dir(&inside).unwrap();
    output.write(line(2).as_bytes()).unwrap();
    assert_eq!(fs::read_to_string(&log).unwrap(), line(2));
}

#[test]
fn a_new_file_is_for_those_that_the_old_one_was_for() {
    let folder = TempDir::new().unwrap();
    let log = folder.path().join("flows.log");
    File::create(&log).unwrap().set_permissions(fs::Permissions::from_mode(0o604)).unwrap();
    let mut output = Output::open(&log, SMALL).unwrap();
    for number in 0..36 {
        output.write(line(number).as_bytes()).unwrap();
    }
    drop(output);
    tidied(&log, SMALL);
    let all = files(folder.path());
    assert_eq!(all.len(), 2);
    for path in all {
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o604, "{path:?}");
    }
}

/// Runs `body` in a directory of 256 kB, which nobody else sees.
fn on_a_small_disk(body: impl FnOnce(&Path) + Send + 'static) {
    let thread = std::thread::spawn(move || {
        let folder = TempDir::new().unwrap();
        #[expect(unsafe_code, reason = "a mount namespace of this thread's own")]
        // SAFETY: no descriptors are unshared, and the thread ends with the namespace.
        unsafe { unshare_unsafe(UnshareFlags::NEWNS | UnshareFlags::FS) }.unwrap();
        let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        mount_change("/", private).unwrap();
        mount("none", folder.path(), "tmpfs", MountFlags::empty(), Some(c"size=256k")).unwrap();
        body(folder.path());
        // Threads of the log may still be about to leave.
        let _ = unmount(folder.path(), UnmountFlags::DETACH);
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_full_disk_holds_whole_lines_and_takes_more_when_there_is_room() {
    on_a_small_disk(|folder| {
        let ballast = folder.join("ballast");
        File::create(&ballast).unwrap().write_all(&vec![0; 200 << 10]).unwrap();
        let log = folder.join("flows.log");
        let mut output = Output::open(&log, NONE).unwrap();
        // Lines do not divide a page, so the last one is written in part.
        let all: String = (0..2_000).map(line).collect();
        let Unwritten { written, error } = output.write(all.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
        let kept = written / line(0).len();
        assert_eq!(written % line(0).len(), 0);
        assert!((900..1_100).contains(&kept), "{kept}");
        assert_eq!(fs::read_to_string(&log).unwrap(), all[..written]);
        let Unwritten { written, .. } = output.write(all.as_bytes()).unwrap_err();
        assert_eq!(
            fs::read_to_string(&log).unwrap().lines().count() - kept,
            written / line(0).len()
        );
        fs::remove_file(&ballast).unwrap();
        let before = fs::read_to_string(&log).unwrap();
        output.write(line(7).as_bytes()).unwrap();
        assert_eq!(fs::read_to_string(&log).unwrap(), before + &line(7));
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn without_room_to_compress_the_plain_file_stays() {
    on_a_small_disk(|folder| {
        let log = folder.join("flows.log");
        File::create(&log).unwrap();
        let place = Folder::of(&log).unwrap();
        let plain = place.path(Timestamp::UNIX_EPOCH, Form::Plain);
        fs::write(&plain, line(1)).unwrap();
        let ballast = folder.join("ballast");
        let full = File::create(&ballast).unwrap().write_all(&vec![0; 300 << 10]).unwrap_err();
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
        let untidy = place.tidy(SMALL, &AtomicBool::new(false)).unwrap_err();
        assert_eq!((untidy.what, &untidy.path), ("compressed", &plain));
        assert_eq!(untidy.error.kind(), std::io::ErrorKind::StorageFull);
        assert_eq!(files(folder), [ballast.clone(), log.clone(), plain]);
        fs::remove_file(&ballast).unwrap();
        tidied(&log, SMALL);
        assert_eq!(files(folder), [log, place.path(Timestamp::UNIX_EPOCH, Form::Compressed)]);
        assert_eq!(lines(folder), once([1]));
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn what_cannot_be_rotated_grows_up_to_the_total() {
    on_a_small_disk(|folder| {
        let log = folder.join("flows.log");
        let rotation = Rotation { max_total: Some(4_000), ..SMALL };
        let mut output = Output::open(&log, rotation).unwrap();
        output.write(line(0).as_bytes()).unwrap();
        // A mount point cannot be renamed.
        let place = folder.join("place");
        fs::rename(&log, &place).unwrap();
        File::create(&log).unwrap();
        mount_bind(&place, &log).unwrap();
        let mut written = 1;
        let refused = loop {
            match output.write(line(written).as_bytes()) {
                Ok(()) => written += 1,
                Err(refused) => break refused,
            }
        };
        assert_eq!(written, 4_000 / line(0).len());
        assert_eq!(
            refused.error.to_string(),
            "it cannot be rotated, and is as large as all of them may be"
        );
        assert_eq!(fs::read_to_string(&log).unwrap().lines().count(), written);
        unmount(&log, UnmountFlags::empty()).unwrap();
    });
}

#[test]
fn what_is_renamed_and_cannot_be_opened_again_grows_up_to_the_total() {
    let folder = TempDir::new().unwrap();
    let log = folder.path().join("flows.log");
    let rotation = Rotation { max_total: Some(4_000), ..SMALL };
    let mut output = Output::open(&log, rotation).unwrap();
    let moved = folder.path().join("moved");
    fs::rename(&log, &moved).unwrap();
    fs::create_dir(&log).unwrap();
    let most = 4_000 / line(0).len();
    for number in 0..most {
        output.write(line(number).as_bytes()).unwrap();
    }
    let refused = output.write(line(most).as_bytes()).unwrap_err();
    assert_eq!(
        refused.error.to_string(),
        "it cannot be rotated, and is as large as all of them may be"
    );
    assert_eq!(fs::read_to_string(&moved).unwrap().lines().count(), most);
    // Whoever makes room for it has it back.
    fs::remove_dir(&log).unwrap();
    output.hang_up();
    output.write(line(most).as_bytes()).unwrap();
    assert_eq!(fs::read_to_string(&log).unwrap(), line(most));
}
