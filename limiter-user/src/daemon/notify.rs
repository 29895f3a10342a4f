//! What a service manager is told: sd_notify(3). Without one that listens (`NOTIFY_SOCKET`), nothing.
//!
//! A ping of the watchdog says that somebody who asks is answered: it waits its turn for the
//! daemon's state like any request. A reload may have the state for longer than a ping may stay
//! away, so while one is under way, pings go on without an answer, for [`LONGEST_RELOAD`].

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sd_notify::NotifyState;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// A reload that takes longer hangs.
pub const LONGEST_RELOAD: Duration = Duration::from_secs(120);

/// Who started the daemon and waits for word from it.
#[derive(Clone, Debug, Default)]
pub struct Manager(Option<Arc<Listening>>);

#[derive(Debug)]
struct Listening {
    /// It expects a ping at least that often.
    watchdog: Option<Duration>,
    /// When the reload began that is under way.
    reload: Mutex<Option<Instant>>,
}

impl Manager {
    /// The one that the environment names.
    pub fn from_environment() -> Self {
        let listens = std::env::var_os("NOTIFY_SOCKET").is_some();
        Self(listens.then(|| {
            Arc::new(Listening {
                watchdog: sd_notify::watchdog_enabled(),
                reload: Mutex::new(None),
            })
        }))
    }

    /// Nobody.
    pub fn none() -> Self {
        Self::default()
    }

    /// Everything is enforced and the control socket answers.
    pub fn ready(&self) {
        self.tell(&[NotifyState::Ready]);
    }

    /// The daemon is about to end.
    pub fn stopping(&self) {
        self.tell(&[NotifyState::Stopping]);
    }

    /// The policy is being read again, until the answer is dropped.
    pub fn reloading(&self) -> Reloading<'_> {
        self.set_reload(Some(Instant::now()));
        // Both in one message: systemd 253 and later want the time to tell reloads apart.
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.tell(&[NotifyState::Reloading, now]),
            Err(e) => tracing::warn!("read the monotonic clock: {e}"),
        }
        Reloading(self)
    }

    /// Pings as often as is wanted, as long as `answers` comes true. Returns if nobody wants pings,
    /// else never.
    pub async fn keep_alive<F: Future<Output = bool>>(&self, answers: impl Fn() -> F) {
        let watchdog = self.0.as_ref().and_then(|manager| manager.watchdog);
        // sd_watchdog_enabled(3): half of the time is recommended.
        let Some(period) = watchdog.map(|longest| longest / 2) else {
            return;
        };
        if !period.is_zero() {
            ping(
                period,
                answers,
                || self.is_reloading(),
                || {
                    self.tell(&[NotifyState::Watchdog]);
                },
            )
            .await;
        }
    }

    fn is_reloading(&self) -> bool {
        let reload = self.0.as_ref().and_then(|manager| *lock(&manager.reload));
        reload.is_some_and(|began| began.elapsed() < LONGEST_RELOAD)
    }

    fn set_reload(&self, began: Option<Instant>) {
        if let Some(manager) = &self.0 {
            *lock(&manager.reload) = began;
        }
    }

    fn tell(&self, states: &[NotifyState<'_>]) {
        if self.0.is_some()
            && let Err(e) = sd_notify::notify(states)
        {
            tracing::warn!("tell the service manager {states:?}: {e}");
        }
    }
}

/// A reload is under way. Dropping it says that it is over, however it went.
#[derive(Debug)]
pub struct Reloading<'a>(&'a Manager);

impl Drop for Reloading<'_> {
    fn drop(&mut self) {
        self.0.set_reload(None);
        self.0.ready();
    }
}

async fn ping<F: Future<Output = bool>>(
    period: Duration,
    answers: impl Fn() -> F,
    is_reloading: impl Fn() -> bool,
    tell: impl Fn(),
) {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let answer = answers();
        tokio::pin!(answer);
        loop {
            tokio::select! {
                answered = &mut answer => {
                    if answered {
                        tell();
                    }
                    break;
                }
                _ = ticks.tick() => {
                    if is_reloading() {
                        tell();
                    }
                }
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // One write of one value: there is no half of it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{
        cell::Cell,
        future::{pending, ready},
    };

    use tokio::time::timeout;

    use super::*;

    const PERIOD: Duration = Duration::from_secs(15);

    /// Pings in ten periods.
    async fn pings<F: Future<Output = bool>>(
        answers: impl Fn() -> F,
        is_reloading: impl Fn() -> bool,
    ) -> u32 {
        let count = Cell::new(0);
        let tell = || count.set(count.get() + 1);
        let never = ping(PERIOD, answers, is_reloading, tell);
        let _ = timeout(PERIOD * 10 - Duration::from_secs(1), never).await;
        count.get()
    }

    #[tokio::test(start_paused = true)]
    async fn who_answers_is_alive() {
        assert_eq!(pings(|| ready(true), || false).await, 10);
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_answer_is_not_unless_a_reload_is_under_way() {
        assert_eq!(pings(|| ready(false), || true).await, 0);
        assert_eq!(pings(pending, || false).await, 0);
        assert_eq!(pings(pending, || true).await, 9);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reload_that_never_ends_hangs() {
        let manager = Manager(Some(Arc::new(Listening {
            watchdog: None,
            reload: Mutex::new(None),
        })));
        manager.set_reload(Some(Instant::now()));
        let pings = pings(pending, || manager.is_reloading()).await;
        assert_eq!(pings, 7, "at 15, 30 … 105 seconds, not at 120 and later");
    }
}
