//! Launches that are followed, each by a task of its own.

use std::{future::Future, sync::Arc, time::Duration};

use domain::ids::{ClusterId, LaunchId};
use tracing::{Instrument, warn};

use super::Site;
use crate::{Error, locked};

/// The pause after an attempt to find out what became of a launch failed.
const PAUSE_OF_A_LAUNCH: Duration = Duration::from_secs(1);

impl Site {
    /// Runs what becomes of a launch as a task of its own, unless it runs already, so that its cluster's pass need not
    /// wait for it.
    pub(crate) fn follow_launch(
        self: &Arc<Self>,
        cluster: ClusterId,
        launch: LaunchId,
        work: impl Future<Output = Result<(), Error>> + Send + 'static,
    ) {
        if !locked(&self.launching).insert(launch) {
            return;
        }
        let followed = Followed {
            site: Arc::clone(self),
            cluster,
            launch,
        };
        let task = async move {
            tokio::select! {
                () = followed.site.cut.cancelled() => {}
                () = followed.to_its_end(work) => {}
            }
        };
        self.launches.spawn(task.in_current_span());
    }

    /// Whether a task follows the launch.
    pub(crate) fn is_followed(&self, launch: LaunchId) -> bool {
        locked(&self.launching).contains(&launch)
    }
}

/// A launch while a task sees to it: however that ends, it is followed no longer, and its cluster is looked at.
struct Followed {
    site: Arc<Site>,
    cluster: ClusterId,
    launch: LaunchId,
}

impl Followed {
    async fn to_its_end(&self, work: impl Future<Output = Result<(), Error>>) {
        match work.await {
            Ok(()) | Err(Error::Cloud(aws::Error::Stopped(_))) => {}
            Err(Error::Store(store::Error::LeaseLost)) => self.site.stop.cancel(),
            // The row still says that the outcome is not known, so it is found out at the next attempt.
            Err(error) => {
                warn!(launch = %self.launch, %error, "the launch has no outcome yet");
                tokio::select! {
                    () = self.site.stop.cancelled() => {}
                    () = tokio::time::sleep(PAUSE_OF_A_LAUNCH) => {}
                }
            }
        }
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        locked(&self.site.launching).remove(&self.launch);
        self.site.stir(self.cluster);
    }
}
