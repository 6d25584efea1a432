//! The socket's file.

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, net::UnixListener},
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::serve::flows::{SocketPlace, bind};

fn place(path: &Path) -> SocketPlace {
    SocketPlace { path: path.to_owned(), group: None }
}

/// Why there is no socket.
fn refusal(path: &Path) -> String {
    match bind(&place(path)) {
        Ok(_) => panic!("a socket at {}", path.display()),
        Err(error) => error.to_string(),
    }
}

fn folder() -> (TempDir, PathBuf) {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("made/for/it/netwatch.sock");
    (folder, path)
}

#[tokio::test]
async fn owner_and_group_may_use_it_and_it_is_removed() {
    let (_folder, path) = folder();
    let socket = bind(&place(&path)).expect("a socket");
    let mode = fs::metadata(&path).expect("its file").permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    drop(socket);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_dead_agents_socket_is_replaced_and_a_living_ones_is_not() {
    let (_folder, path) = folder();
    fs::create_dir_all(path.parent().expect("a directory")).expect("made");
    drop(UnixListener::bind(&path).expect("a socket"));
    assert!(path.exists(), "as kill -9 leaves it");
    let living = bind(&place(&path)).expect("a socket");
    assert_eq!(
        refusal(&path),
        format!(
            "cannot listen at the socket {}: another agent listens there; stop it, or give another path to --socket",
            path.display()
        )
    );
    assert!(path.exists());
    // Somebody else's by now.
    fs::remove_file(&path).expect("removed");
    let other = bind(&place(&path)).expect("a socket");
    drop(living);
    assert!(path.exists());
    drop(other);
    assert!(!path.exists());
}

#[tokio::test]
async fn what_is_no_socket_stays() {
    let (folder, path) = folder();
    fs::create_dir_all(path.parent().expect("a directory")).expect("made");
    fs::write(&path, "precious").expect("a file");
    assert!(refusal(&path).contains("there is a file that is no socket"));
    assert_eq!(fs::read_to_string(&path).expect("the file"), "precious");
    let below = folder.path().join("made/for/it/netwatch.sock/too/deep");
    assert!(refusal(&below).contains("netwatch.sock/too cannot be made: "), "{}", refusal(&below));
}
