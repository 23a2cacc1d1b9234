//! The helper thread that makes full answers, and its CPU budget.
//!
//! The budget is a share of one core: it fills with time, at the configured
//! percentage, up to [`BURST`]; each answer takes from it what the thread's own
//! CPU clock says it cost. Once it is empty the thread sleeps until it is not.
//! Loading the rules, about a second of CPU, is not charged: it happens once.
//!
//! The thread ends when its classifier is dropped.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::rules::Rules;
use super::{QUEUE_ENTRIES, Shared};

/// How much unused budget is kept: after a quiet while about 500 new user
/// agents are classified without delay.
const BURST: Duration = Duration::from_millis(250);

/// After so many answers the rules let go of what their searches keep. With it they
/// take 85 MB whatever is sent; without, 140 MB after 30,000 different strings, and
/// still more. Searches begin anew then, which adds a sixth to what answers cost.
const ANSWERS_PER_FORGETTING: u32 = 1000;

/// A string that wants its full answer.
pub(super) struct Job {
    pub key: u64,
    pub text: Box<str>,
}

/// CPU time that may be used.
struct Budget {
    percent: u32,
    /// Nanoseconds; below 0 after an expensive answer.
    balance: i128,
    filled: Instant,
}

/// Starts the thread. It loads the rules when the first job comes.
pub(super) fn start(
    shared: Arc<Shared>,
    rules: PathBuf,
    crawlers: Option<PathBuf>,
    cpu_percent: u32,
) -> std::io::Result<SyncSender<Job>> {
    let (sender, receiver) = sync_channel(QUEUE_ENTRIES);
    std::thread::Builder::new()
        .name("user-agents".to_owned())
        .spawn(move || run(&shared, &rules, crawlers.as_deref(), cpu_percent, &receiver))?;
    Ok(sender)
}

fn run(
    shared: &Shared,
    rules: &std::path::Path,
    crawlers: Option<&std::path::Path>,
    cpu_percent: u32,
    jobs: &Receiver<Job>,
) {
    let Ok(first) = jobs.recv() else { return };
    let mut rules = match Rules::load(rules, crawlers) {
        Ok(rules) => rules,
        Err(error) => {
            // The receiver is dropped: from now on the quick answers stay.
            tracing::error!(%error, "user agents are classified by the quick rules only");
            return;
        }
    };
    let mut spent = cpu_time();
    shared.helper_cpu_ns.store(nanoseconds(spent), Relaxed);
    let mut budget = Budget::new(cpu_percent, Instant::now());
    let (mut job, mut answers) = (first, 0);
    loop {
        shared.cache.refine(job.key, Arc::new(rules.classify(&job.text)));
        answers += 1;
        if answers == ANSWERS_PER_FORGETTING {
            rules.forget_searches();
            answers = 0;
        }
        shared.refined.fetch_add(1, Relaxed);
        let now = cpu_time();
        budget.spend(now.saturating_sub(spent));
        spent = now;
        shared.helper_cpu_ns.store(nanoseconds(now), Relaxed);
        if let Some(pause) = budget.pause(Instant::now()) {
            #[expect(clippy::disallowed_methods, reason = "the pause is what the budget of CPU asks for")]
            std::thread::sleep(pause);
        }
        match jobs.recv() {
            Ok(next) => job = next,
            Err(_) => return,
        }
    }
}

// === impl Budget ===

impl Budget {
    fn new(percent: u32, now: Instant) -> Budget {
        Budget { percent, balance: BURST.as_nanos() as i128, filled: now }
    }

    fn spend(&mut self, cpu: Duration) {
        self.balance -= cpu.as_nanos() as i128;
    }

    /// How long to sleep before the next answer.
    fn pause(&mut self, now: Instant) -> Option<Duration> {
        let elapsed = now.saturating_duration_since(self.filled).as_nanos() as i128;
        self.filled = now;
        self.balance =
            (self.balance + elapsed * i128::from(self.percent) / 100).min(BURST.as_nanos() as i128);
        if self.balance > 0 {
            return None;
        }
        let missing = (1 - self.balance) * 100 / i128::from(self.percent.max(1));
        Some(Duration::from_nanos(u64::try_from(missing).unwrap_or(u64::MAX)))
    }
}

/// What this thread has used of the CPU.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_is_a_share_of_the_time_that_passes() {
        let start = Instant::now();
        let mut budget = Budget::new(10, start);
        let (mut now, mut used) = (start, Duration::ZERO);
        // An endless queue of answers of half a millisecond each.
        for _ in 0..10_000 {
            let cost = Duration::from_micros(500);
            budget.spend(cost);
            used += cost;
            now += cost;
            if let Some(pause) = budget.pause(now) {
                now += pause;
            }
        }
        let share = (used - BURST).as_secs_f64() / (now - start).as_secs_f64();
        assert!((0.09..=0.101).contains(&share), "{share}");
    }

    #[test]
    fn an_unused_budget_does_not_grow_beyond_the_burst() {
        let start = Instant::now();
        let mut budget = Budget::new(50, start);
        assert_eq!(budget.pause(start + Duration::from_secs(3600)), None);
        budget.spend(BURST);
        assert!(budget.pause(start + Duration::from_secs(3600)).is_some());
    }

    #[test]
    fn the_threads_clock_runs() {
        let before = cpu_time();
        let mut sum = 0u64;
        while cpu_time() == before {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(cpu_time() > before);
    }
}
