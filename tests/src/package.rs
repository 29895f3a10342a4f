//! The Debian package, as `cargo xtask package deb` makes it.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// Builds it, once per test run, with the profile that the tests were built with.
///
/// # Panics
/// If it cannot be built.
pub fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let target = target();
        let package = target.join("debian/limiter-test.deb");
        let done = cargo()
            .args(["xtask", "package", "deb", "--profile", profile()])
            .arg("--output")
            .arg(&package)
            .status()
            .expect("run cargo");
        assert!(done.success(), "cargo xtask package deb: {done}");
        package
    })
}

/// cargo, for this workspace and the directory in which the tests were built.
pub fn cargo() -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .env("CARGO_TARGET_DIR", target());
    cargo
}

/// The profile that the tests were built with.
pub const fn profile() -> &'static str {
    if cfg!(debug_assertions) {
        "dev"
    } else {
        "release"
    }
}

/// TARGET/PROFILE/deps/TEST
fn target() -> PathBuf {
    let test = std::env::current_exe().expect("path of the test");
    let target = test.ancestors().nth(3);
    target.expect("cargo's target directory").to_owned()
}
