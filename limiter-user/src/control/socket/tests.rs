//! On sockets in directories of their own.

use super::*;
use crate::policy::Group;

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

#[tokio::test]
async fn the_second_daemon_is_told_about_the_first() {
    let directory = directory();
    let path = directory.path().join("limiter.sock");
    let first = ControlSocket::claim(&path).expect("the first");
    let second = ControlSocket::claim(&path).expect_err("the second");
    assert_eq!(
        second.cause,
        format!("another limiter (pid {}) runs on it", std::process::id())
    );
    tokio::net::UnixStream::connect(&path)
        .await
        .expect("the first is unharmed");
    drop(first);
    assert!(!path.exists());
    ControlSocket::claim(&path).expect("the next");
}

#[tokio::test]
async fn a_dead_daemons_socket_is_replaced_and_private() {
    let directory = directory();
    let path = directory.path().join("limiter.sock");
    drop(net::UnixListener::bind(&path).expect("a socket"));
    assert!(path.exists());
    let _socket = ControlSocket::claim(&path).expect("the next");
    let mode = fs::metadata(&path).expect("a socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
}

#[tokio::test]
async fn the_file_is_for_those_who_are_named() {
    use std::os::unix::fs::MetadataExt;

    let directory = directory();
    let path = directory.path().join("limiter.sock");
    // Whoever runs the test may give files to this one.
    let gid = nix::unistd::getegid().as_raw();
    let grant = |others| Grant {
        group: Some(Group {
            name: "ours".to_owned(),
            gid,
        }),
        others,
    };
    for (others, mode) in [(Others::Nothing, 0o660), (Others::Read, 0o666)] {
        let claim = Claim::take(&path, &grant(others)).expect("a socket");
        let metadata = fs::metadata(&path).expect("a socket");
        assert_eq!((metadata.mode() & 0o777, metadata.gid()), (mode, gid));
        drop(claim);
        assert!(!path.exists());
    }
}

#[tokio::test]
async fn files_and_strangers_sockets_stay() {
    let directory = directory();
    let file = directory.path().join("file");
    fs::write(&file, "precious").expect("a file");
    let error = ControlSocket::claim(&file).expect_err("a file");
    assert_eq!(error.cause, "the file exists and is not a socket");
    assert_eq!(fs::read(&file).expect("a file"), b"precious");

    let path = directory.path().join("stranger.sock");
    let _stranger = UnixListener::bind(&path).expect("a socket");
    let error = ControlSocket::claim(&path).expect_err("in use");
    assert_eq!(error.cause, "another program listens on it");
}

#[tokio::test]
async fn a_missing_directory_is_named() {
    let error = ControlSocket::claim(Path::new("/nonexistent/l.sock")).expect_err("no directory");
    assert!(
        error
            .to_string()
            .starts_with("control socket /nonexistent/l.sock: "),
        "{error}"
    );
    assert!(error.hint.is_some());
}
