//! From the sources, without a package.

use tests::{package, process};

#[test]
fn cargo_install_gives_a_binary_that_works() {
    let root = tempfile::tempdir().expect("make a temporary directory");
    let mut command = package::cargo();
    command
        .args([
            "install",
            "--locked",
            "--path",
            "limiter-user",
            "--profile",
            package::profile(),
        ])
        .arg("--root")
        .arg(root.path());
    let done = command.status().expect("run cargo");
    assert!(done.success(), "cargo install: {done}");
    let mut limiter = std::process::Command::new(root.path().join("bin/limiter"));
    limiter.arg("--version");
    let said = process::run(limiter, None);
    assert_eq!(said.stdout, concat!("limiter ", env!("CARGO_PKG_VERSION")));
}
