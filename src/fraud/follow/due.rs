//! Which sites are to be looked after, and when.
//!
//! In: that a batch of a site was shipped from here, or that rows were changed. Out: what is due, at
//! once; all sites when the time of a poll is over, however much is being shipped.

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::Instant;

use tokio::sync::Notify;

use super::held;

/// Which sites are to be looked after.
#[derive(Debug, Default)]
pub struct Due {
    all: bool,
    /// Those of which a batch was shipped; fewer than sites were ever configured.
    sites: HashSet<String>,
}

/// Who waits for something to be due.
#[derive(Default)]
pub(super) struct Waiting {
    due: Mutex<Due>,
    /// Something is due.
    woken: Notify,
}

// === impl Due ===

impl Due {
    pub fn has_all(&self) -> bool {
        self.all
    }

    pub fn has(&self, site: &str) -> bool {
        self.all || self.sites.contains(site)
    }
}

// === impl Waiting ===

impl Waiting {
    pub(super) fn tell(&self, site: &str) {
        held(&self.due).sites.insert(site.to_owned());
        self.woken.notify_one();
    }

    pub(super) fn tell_all(&self) {
        held(&self.due).all = true;
        self.woken.notify_one();
    }

    /// Returns when something is due, or all sites are to be looked after anyway.
    pub(super) async fn wait(&self, until: Instant) -> Due {
        // Where something was shipped meanwhile it returns without a look at the clock.
        let _ = tokio::time::timeout_at(until.into(), self.woken.notified()).await;
        let mut due = std::mem::take(&mut *held(&self.due));
        due.all |= Instant::now() >= until;
        due
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn all_sites_are_due_at_their_time_however_much_is_shipped() {
        let waiting = Waiting::default();
        let later = Instant::now() + Duration::from_secs(3600);
        waiting.tell("clinic");
        let due = waiting.wait(later).await;
        assert!(due.has("clinic") && !due.has("other") && !due.has_all());
        waiting.tell("clinic");
        assert!(waiting.wait(Instant::now()).await.has("other"), "something is always being shipped");
        waiting.tell_all();
        assert!(waiting.wait(later).await.has_all());
    }
}
