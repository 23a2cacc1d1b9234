//! What is in memory stays there: no core dump is written, and no other process of
//! the same user reads it.
//!
//! Called once, before a command does anything: the keys of the ring, visitors'
//! addresses and cookies are in the memory of every command that works with them,
//! and a core file would be a copy of them on a disk.
//!
//! On Linux, `PR_SET_DUMPABLE 0`: the kernel dumps no core whatever the limit or
//! the core pattern, `/proc/PID` belongs to root, and only who may trace any
//! process (root) can attach to this one. Everywhere, a core limit of 0.
//!
//! [`DEBUG_VARIABLE`] `=1` leaves both as they are, for a debugger, strace or perf
//! of the same user; whoever can set it starts the process and has all it has.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Leaves the process open to debuggers.
pub const DEBUG_VARIABLE: &str = "METKA_DUMPABLE";

/// How open the memory of this process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Openness {
    /// Whether a core file could be written.
    pub dumps_core: bool,
    /// Whether other processes of the same user may look into it.
    pub is_dumpable: bool,
}

/// Closes the memory of this process, unless the variable's value says otherwise.
pub fn close(debug: Option<&str>) -> std::io::Result<()> {
    if debug == Some("1") {
        tracing::warn!("{DEBUG_VARIABLE}=1: the memory of this process is open to debuggers and core dumps");
        return Ok(());
    }
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}

/// Does one thing for which files in `/proc/self` must be the user's own: while the
/// memory is closed they can be read, but only root writes to them.
pub fn while_open<T>(action: impl FnOnce() -> T) -> std::io::Result<T> {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, dumpable_behavior, set_dumpable_behavior};
        let before = dumpable_behavior()?;
        set_dumpable_behavior(DumpableBehavior::Dumpable)?;
        let done = action();
        set_dumpable_behavior(before)?;
        Ok(done)
    }
    #[cfg(not(target_os = "linux"))]
    Ok(action())
}

/// As the kernel has it.
pub fn openness() -> std::io::Result<Openness> {
    #[cfg(target_os = "linux")]
    let is_dumpable = rustix::process::dumpable_behavior()? != rustix::process::DumpableBehavior::NotDumpable;
    #[cfg(not(target_os = "linux"))]
    let is_dumpable = true;
    let dumps_core = is_dumpable && getrlimit(Resource::Core).current != Some(0);
    Ok(Openness { dumps_core, is_dumpable })
}
