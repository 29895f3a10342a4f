//! The files of a small Debian, of the release that this machine has, because limiter is linked
//! with its C library.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use nix::fcntl::{Flock, FlockArg};

/// In addition to what is essential: what the tests ask.
const PACKAGES: &str = "--include=systemd,lintian,logrotate,man-db";
/// Other packages, another name: what was made with less is not enough.
const NAME: &str = "root-with-logrotate";

/// Where they are: beside the test's own binary. Made once, by mmdebstrap from Debian's mirror.
///
/// # Panics
/// If they cannot be had.
pub(super) fn prepared() -> PathBuf {
    let test = std::env::current_exe().expect("path of the test");
    let directory = test.parent().expect("a directory").join("debian-root");
    fs::create_dir_all(&directory).expect("make a directory for the files");
    let lock = File::create(directory.join("lock")).expect("make a lock file");
    let _lock = Flock::lock(lock, FlockArg::LockExclusive)
        .map_err(|(_, e)| e)
        .expect("lock the directory of the files");
    let root = directory.join(NAME);
    if !root.exists() {
        eprintln!("making a small Debian in {}", directory.display());
        make(&directory);
    }
    root
}

fn make(directory: &Path) {
    let done = Command::new("sh")
        .args(["-e", "-c", MAKE, "make", PACKAGES, NAME])
        .current_dir(directory)
        .status()
        .expect("run sh");
    assert!(
        done.success(),
        "the test needs a Debian of its own: run it on Debian, where apt-get reaches a mirror"
    );
}

/// mmdebstrap is one script, and need not be installed. The name changes at the end, so that half of
/// a root is never taken for one.
const MAKE: &str = r#"
. /etc/os-release
test "$ID" = debian
apt-get download mmdebstrap || { apt-get update && apt-get download mmdebstrap; }
dpkg-deb -x mmdebstrap_*.deb tool
mirror=$(apt-get indextargets --format '$(ORIGIN) $(SITE)' 'Created-By: Packages' |
    sed -n '/^Debian /{s///p;q}')
rm -rf new
PATH=$PWD/tool/usr/bin:$PATH mmdebstrap --quiet --mode=root --variant=essential "$1" \
    --aptopt='APT::Install-Recommends "false"' --dpkgopt=force-unsafe-io \
    "$VERSION_CODENAME" new "$mirror"
mv new "$2"
"#;
