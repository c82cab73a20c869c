//! What is in this process's memory is nobody else's.

use rustix::process::{Resource, Rlimit, setrlimit};
use tracing::warn;

/// From now on no core dump is written, and on Linux nobody but root reads the memory or the environment of this process,
/// also not another process of the same user. A debugger that is there already stays.
pub(crate) fn keep() {
    let nothing = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    // A core dump that goes to a program has no limit but the second one.
    if let Err(error) = setrlimit(Resource::Core, nothing).and_then(|()| hide()) {
        warn!(%error, "others on this machine may read what is in this process's memory");
    }
}

/// prctl(2), "PR_SET_DUMPABLE".
#[cfg(target_os = "linux")]
fn hide() -> rustix::io::Result<()> {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
}

#[cfg(not(target_os = "linux"))]
fn hide() -> rustix::io::Result<()> {
    Ok(())
}
