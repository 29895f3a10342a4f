//! Programs of Debian's packages, unpacked beside the test's own binary and not installed, so that
//! nothing is started or left on the machine.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use nix::fcntl::{Flock, FlockArg};

/// A program where the system has it, else out of the package of the same name. What the package needs
/// and a small Debian does not have is unpacked as well, see [`libraries`].
///
/// # Panics
/// If it cannot be had.
pub fn program(name: &str) -> PathBuf {
    program_of(name, name)
}

/// The same, out of a package of another name.
///
/// # Panics
/// If it cannot be had.
pub fn program_of(name: &str, package: &str) -> PathBuf {
    let installed = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"]
        .map(|directory| Path::new(directory).join(name))
        .into_iter()
        .find(|path| path.exists());
    let places = ["usr/sbin", "usr/bin"].map(|place| Path::new(place).join(name));
    installed.unwrap_or_else(|| unpacked(&places, package))
}

/// Another file of a package, where the system has it, else unpacked.
///
/// # Panics
/// If it cannot be had.
pub fn file(path: &str, package: &str) -> PathBuf {
    let installed = PathBuf::from(path);
    if installed.exists() {
        return installed;
    }
    unpacked(&[PathBuf::from(path.trim_start_matches('/'))], package)
}

/// Where the libraries of a program are that [`program`] has unpacked. None: it is installed.
pub fn libraries(program: &Path) -> Option<PathBuf> {
    let root = program.ancestors().nth(3)?;
    // The root of the system has none.
    root.parent()?;
    let directories = fs::read_dir(root.join("usr/lib")).ok()?.flatten();
    directories
        .map(|entry| entry.path())
        .find(|path| path.to_string_lossy().ends_with("-linux-gnu"))
}

/// The first of these places that the package has.
fn unpacked(places: &[PathBuf], name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("path of the test");
    let directory = test.parent().expect("a directory");
    let directory = directory.join(format!("{name}-from-debian"));
    fs::create_dir_all(&directory).expect("make a directory for the package");
    let lock = File::create(directory.join("lock")).expect("make a lock file");
    let _lock = Flock::lock(lock, FlockArg::LockExclusive)
        .map_err(|(_, e)| e)
        .expect("lock the directory of the package");
    let find = || {
        let mut places = places.iter().map(|place| directory.join(place));
        places.find(|path| path.exists())
    };
    if let Some(program) = find() {
        return program;
    }
    eprintln!(
        "{name} is not installed: downloading Debian's package into {}",
        directory.display()
    );
    let done = Command::new("sh")
        .args(["-e", "-c", UNPACK, "unpack", name])
        .current_dir(&directory)
        .status()
        .expect("run apt-get");
    match find() {
        Some(program) if done.success() => program,
        _ => panic!("the test needs {name}: install it, or let apt-get download it"),
    }
}

/// The C library is the machine's own, as that of the tests is.
const UNPACK: &str = r#"
# What a benchmark prints may be read by a program.
exec >&2
apt-cache show "$1" > /dev/null 2>&1 || apt-get update
needed=$(apt-cache depends --recurse --important "$1" |
    sed -n 's/^ *|\{0,1\}\(Pre\)\{0,1\}Depends: \([a-z0-9.+-]*\)$/\2/p' |
    grep '^lib' | grep -v -e '^libc6$' -e '^libc-' | sort -u || :)
apt-get download "$1" $needed || { apt-get update && apt-get download "$1" $needed; }
for package in *.deb; do dpkg-deb -x "$package" .; done
"#;
