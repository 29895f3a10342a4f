//! Waits for cgroups to come and go.

use std::{
    collections::HashSet,
    io,
    os::fd::{AsFd as _, AsRawFd, RawFd},
    path::{Path, PathBuf},
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor},
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    time::{Instant, sleep_until, timeout},
};

use crate::kernel::error::{Context, KernelError};

const OPERATION: &str = "watch";
const OBJECT: &str = "the cgroups";
/// Longest time between two looks. What happens in a cgroup namespace other than ours is seen by
/// looking only: its mount has inodes of its own, and inotify tells of those.
const LOOK: Duration = Duration::from_secs(1);
/// Shortest time between two looks. Whoever may make the cgroup may make it as often as he likes.
const PAUSE: Duration = Duration::from_millis(20);

/// Tells when it is time to look at the cgroups again. What has happened it does not tell: whoever
/// waits looks at all that matter to him.
#[derive(Debug)]
pub struct CgroupWatch {
    paths: Vec<PathBuf>,
    /// None: it does not work, looking has to do.
    inotify: Option<AsyncFd<Watcher>>,
    watched: HashSet<WatchDescriptor>,
    earliest: Instant,
}

impl CgroupWatch {
    /// To be called on the runtime.
    pub(super) fn new(paths: Vec<PathBuf>) -> Self {
        let inotify = Watcher::open().context(OPERATION, OBJECT);
        let inotify = inotify.inspect_err(|error| {
            tracing::warn!("{error}; they are looked at once a second all the same");
        });
        Self {
            paths,
            inotify: inotify.ok(),
            watched: HashSet::new(),
            earliest: Instant::now(),
        }
    }

    /// Waits until something may have changed since the call before, or since the daemon's start.
    ///
    /// # Errors
    ///
    /// If there is no notice any more. Further calls return after a while.
    pub async fn changed(&mut self) -> Result<(), KernelError> {
        sleep_until(self.earliest).await;
        let mut result = Ok(());
        // What was not watched may have changed unseen.
        if !self.watch_anew() {
            let waited = timeout(LOOK, notice(self.inotify.as_ref())).await;
            // Otherwise there is notice, or it is time.
            if let Ok(Err(error)) = waited {
                self.inotify = None;
                result = Err(error).context(OPERATION, OBJECT);
            }
        }
        self.earliest = Instant::now() + PAUSE;
        result
    }

    /// Watches the nearest directory above each cgroup that is there. Whether any is new.
    fn watch_anew(&mut self) -> bool {
        let Some(inotify) = &self.inotify else {
            return false;
        };
        let inotify = &inotify.get_ref().0;
        let above = self.paths.iter().filter_map(|path| above(inotify, path));
        let watched: HashSet<_> = above.collect();
        for old in self.watched.difference(&watched) {
            // It may be gone by itself, with its directory.
            let _ = inotify.rm_watch(*old);
        }
        let is_new = !watched.is_subset(&self.watched);
        self.watched = watched;
        is_new
    }
}

/// From the deepest upwards: what is made below one that is missing now, is made after a notice in
/// the one above.
fn above(inotify: &Inotify, path: &Path) -> Option<WatchDescriptor> {
    let flags = AddWatchFlags::IN_CREATE
        | AddWatchFlags::IN_DELETE
        | AddWatchFlags::IN_DELETE_SELF
        | AddWatchFlags::IN_ONLYDIR;
    let mut above = path.ancestors().skip(1);
    above.find_map(|directory| inotify.add_watch(directory, flags).ok())
}

async fn notice(inotify: Option<&AsyncFd<Watcher>>) -> io::Result<()> {
    let Some(inotify) = inotify else {
        return std::future::pending().await;
    };
    loop {
        let mut ready = inotify.readable().await?;
        let read = ready.try_io(|inotify| match inotify.get_ref().0.read_events() {
            // One call empties a buffer of it; what is left calls for another look.
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        });
        // Else it was nothing.
        if let Ok(read) = read {
            return read;
        }
    }
}

#[derive(Debug)]
struct Watcher(Inotify);

impl Watcher {
    fn open() -> io::Result<AsyncFd<Self>> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        // SAFETY: it owns its descriptor and keeps it while it lives.
        let watcher = unsafe { AsyncFd::register_with_interest(Self(inotify), Interest::READABLE) };
        watcher.map_err(io::Error::from)
    }
}

impl AsRawFd for Watcher {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Far longer than it takes.
    const PATIENCE: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn there_is_notice_of_each_directory_on_the_way() {
        let directory = tempfile::tempdir().expect("make a directory");
        let outer = directory.path().join("outer");
        let inner = outer.join("inner");
        let mut watch = CgroupWatch::new(vec![inner.clone()]);
        watch.changed().await.expect("the first look");
        assert!(!watch.watch_anew());
        for (way, is_new) in [(&outer, true), (&inner, false)] {
            fs::create_dir(way).expect("make a directory");
            must_notice(&watch).await;
            assert_eq!(watch.watch_anew(), is_new);
        }
        fs::remove_dir(&inner).expect("remove a directory");
        must_notice(&watch).await;
        fs::remove_dir(&outer).expect("remove a directory");
        must_notice(&watch).await;
        assert!(watch.watch_anew());
    }

    async fn must_notice(watch: &CgroupWatch) {
        let noticed = timeout(PATIENCE, notice(watch.inotify.as_ref())).await;
        noticed.expect("in time").expect("a notice");
    }
}
