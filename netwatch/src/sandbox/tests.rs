//! What is given up cannot be got back: each in a process of its own, since there is no way out again.

use std::{
    env,
    fs::{self, File},
    io::ErrorKind,
    net::{TcpListener, TcpStream},
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::PathBuf,
    process::{Command, Output},
};

use super::*;

/// Names what a process of the test is to try, and where it may write.
const TASK: &str = "NETWATCH_TEST_SANDBOX_TASK";
const FOLDER: &str = "NETWATCH_TEST_SANDBOX_FOLDER";

/// Runs [`confined`] in a process of its own.
fn attempt(task: &str, folder: &str) -> Output {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "sandbox::tests::confined", "--include-ignored", "--nocapture"])
        .env(TASK, task)
        .env(FOLDER, folder)
        .output()
        .unwrap()
}

#[test]
#[ignore = "ends itself: the other tests start it"]
fn confined() {
    let Ok(task) = env::var(TASK) else { return };
    let folder = PathBuf::from(env::var(FOLDER).unwrap());
    let inside = folder.join("inside");
    fs::create_dir(&inside).unwrap();
    fs::write(folder.join("secret"), "secret").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let needs = Needs {
        write: vec![inside.clone()],
        read: of_every_host(),
        listen: vec![0],
        ..Needs::default()
    };
    let strictness = if task == "fails" { Strictness::On } else { Strictness::Strict };
    let confinement = enter(&needs, strictness);
    assert!(confinement.features.iter().all(Feature::is_available), "{confinement}");
    assert_eq!(confinement.capabilities, "");
    match task.as_str() {
        "files" => {
            fs::write(inside.join("log"), "line").unwrap();
            fs::rename(inside.join("log"), inside.join("log.1")).unwrap();
            let refused = |result: std::io::Result<()>| {
                assert_eq!(result.unwrap_err().kind(), ErrorKind::PermissionDenied);
            };
            refused(File::create(folder.join("outside")).map(drop));
            refused(fs::read(folder.join("secret")).map(drop));
            refused(fs::remove_file(folder.join("secret")));
            refused(fs::rename(inside.join("log.1"), folder.join("stolen")));
            refused(fs::read("/etc/passwd").map(drop));
            refused(TcpListener::bind("127.0.0.1:19732").map(drop));
            refused(TcpStream::connect(listener.local_addr().unwrap()).map(drop));
            TcpListener::bind("127.0.0.1:0").unwrap();
        }
        "execve" | "fails" => {
            let error = Command::new("/bin/true").exec();
            assert_eq!(error.raw_os_error(), Some(libc::ENOSYS), "{error}");
        }
        other => panic!("{other}"),
    }
}

#[test]
fn files_and_ports_that_are_not_needed_are_out_of_reach() {
    let folder = tempfile::tempdir().unwrap();
    let output = attempt("files", folder.path().to_str().unwrap());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(folder.path().join("inside/log.1").exists());
    assert!(folder.path().join("secret").exists());
}

#[test]
fn a_call_that_nobody_foresaw_fails_or_ends_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let output = attempt("fails", folder.path().to_str().unwrap());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let folder = tempfile::tempdir().unwrap();
    let output = attempt("execve", folder.path().to_str().unwrap());
    assert_eq!(output.status.signal(), Some(libc::SIGSYS), "{output:?}");
}
