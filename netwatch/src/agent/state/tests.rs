//! The file as it is written and read, and as programs of each version have written it.

use super::*;
use crate::{
    agent::{accounts::Accounts, ports::Ports},
    flow::Tracker,
    model::{Attachment, Mac, Protocol, PublishedPort, Socket, Source},
};

mod versions;

const AWAY: Duration = Duration::from_millis(1_500);

/// Of a kernel side, with everything in it that there can be.
fn example(kernel: u64) -> Made {
    let tally = |packets| Tally { packets, segments: packets + 1, bytes: packets * 1_000 };
    let (accounts, ports) = (Accounts::example(), Ports::example());
    let tracker = Tracker::example();
    let state = State {
        kernel,
        bookmark: Bookmark::example(),
        time: 68_000_000_001,
        accounts: accounts.kept(),
        ports: ports.kept(),
        labelled: Arc::new(HashMap::from([("web".into(), Arc::new(web()))])),
        flows: tracker.keep(),
        told: vec![(9, tally(401)), (300, tally(402))],
        forgotten: tally(403),
        away: AWAY,
    };
    let (draft, made) = draft();
    state.encode(draft).unwrap();
    made
}

/// The same as it is in a file.
fn written(kernel: u64) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let file = StateFile::of_this_namespace(folder.path()).unwrap();
    file.write(example(kernel), Instant(1), || ()).unwrap();
    fs::read(file.0).unwrap()
}

/// A container with everything that there can be of one.
fn web() -> Container {
    let published = Socket { address: [192, 0, 2, 10].into(), port: 8_080 };
    let attachment = Attachment {
        network: "shop_default".into(),
        network_id: "4b1d".into(),
        addresses: vec![[172, 18, 0, 2].into()],
        mac: Some(Mac([2, 66, 172, 18, 0, 2])),
    };
    Container {
        id: "1f0c9ab2".into(),
        name: "web".into(),
        image: "nginx:1.27".into(),
        project: Some("shop".into()),
        service: Some("front".into()),
        attachments: vec![attachment],
        pid: Some(4_711),
        namespace: Some("/run/docker/netns/1f0c".into()),
        host_network: false,
        shares_with: Some("db".into()),
        published: vec![PublishedPort { host: published, port: 80, protocol: Protocol::TCP }],
        shared_by: vec!["sidecar".into()],
        source: Source::Engine,
    }
}

fn known(earlier: Earlier) -> State {
    match earlier {
        Earlier::Known(state) => *state,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_written_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = StateFile::of_this_namespace(&folder.path().join("made")).unwrap();
    assert!(matches!(file.read(), Earlier::Nothing));
    file.write(example(7), Instant(1), || ()).unwrap();
    // The one before is there until all has been told that is in the next.
    let is_told = || assert_eq!(known(file.read()).kernel, 7);
    file.write(example(9), Instant(2), is_told).unwrap();
    // What is not whole takes nobody's place.
    let (_, nothing) = draft();
    assert!(file.write(nothing, Instant(3), || panic!("told")).is_err());
    let read = known(file.read());
    assert_eq!((read.kernel, read.time(), read.away), (9, Instant(68_000_000_001), AWAY));
    assert_eq!(read.bookmark, Bookmark::example());
    assert_eq!(format!("{:?}", read.accounts), format!("{:?}", Accounts::example().kept()));
    assert_eq!(format!("{:?}", read.ports), format!("{:?}", Ports::example().kept()));
    let left = || fs::read_dir(folder.path().join("made")).unwrap().count();
    assert_eq!(left(), 1);
    // An agent was killed while it wrote.
    fs::write(file.0.with_extension("new"), "half").unwrap();
    assert!(file.remove().unwrap() && !file.remove().unwrap());
    assert_eq!(left(), 0);
}

#[test]
fn what_is_noted_is_read_until_it_is_part_of_what_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = StateFile::of_this_namespace(folder.path()).unwrap();
    let note = |time, text: &str| {
        io::Write::write_all(&mut file.note(Instant(time)).unwrap(), text.as_bytes()).unwrap();
    };
    // In the order of numbers, not of names; what is not ours is left alone.
    let others = folder.path().join("net-1.5.noted");
    fs::write(&others, "another's").unwrap();
    note(9, "nine ");
    note(10, "ten ");
    note(8, "eight ");
    assert_eq!(file.noted(Instant(9)).unwrap(), b"nine ten ");
    file.write(example(7), Instant(10), || ()).unwrap();
    assert_eq!(file.noted(Instant(0)).unwrap(), b"ten ");
    assert!(file.remove().unwrap());
    assert_eq!(file.noted(Instant(0)).unwrap(), b"");
    assert!(others.exists());
}

#[test]
fn what_cannot_be_used_has_its_age() {
    let folder = tempfile::tempdir().unwrap();
    let file = StateFile::of_this_namespace(folder.path()).unwrap();
    fs::write(&file.0, "something else altogether").unwrap();
    let hour = Duration::from_hours(1);
    let written = fs::File::options().write(true).open(&file.0).unwrap();
    written.set_modified(std::time::SystemTime::now() - hour).unwrap();
    let earlier = file.read();
    assert!(earlier.inheritance().is_none());
    assert!(matches!(earlier, Earlier::Unusable(age) if age >= hour && age < 2 * hour));
}

#[test]
fn whatever_is_wrong_with_it_is_said() {
    let bytes = written(7);
    let wrong = |bytes: &[u8]| State::decode(bytes).err().unwrap();
    for length in 0..HEAD {
        assert_eq!(wrong(&bytes[..length]), "it is cut off");
    }
    for length in HEAD..bytes.len() {
        assert_eq!(wrong(&bytes[..length]), "its checksum is wrong");
    }
    assert_eq!(wrong(b"something else altogether"), "it is not netwatch's");
    let mut newer = bytes.clone();
    newer[8] = 99;
    assert_eq!(wrong(&newer), "it is of version 99, and this netwatch reads 2");
    let checked = |body: &[u8]| {
        let head = [&MAGIC[..], &VERSION.to_le_bytes(), &crc32fast::hash(body).to_le_bytes()];
        [&head.concat(), body].concat()
    };
    assert!(State::decode(&checked(&bytes[HEAD..])).is_ok());
    let longer = checked(&[&bytes[HEAD..], &[0]].concat());
    assert_eq!(wrong(&longer), "there is more in it than this netwatch knows");
    assert!(!wrong(&checked(&bytes[HEAD..bytes.len() - 1])).is_empty());
}
