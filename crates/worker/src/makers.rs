//! Who makes network objects: one task at a time in each VPC, since most of these calls have no client token.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex as SyncMutex},
};

use tokio::sync::{Mutex, OwnedMutexGuard, OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

use crate::locked;

/// The VPCs of a site in which something is made at the moment.
#[derive(Debug, Default)]
pub(crate) struct Makers {
    any: Arc<RwLock<()>>,
    by_vpc: SyncMutex<HashMap<String, Arc<Mutex<()>>>>,
}

/// While this is held, nobody else makes anything in the VPC.
#[derive(Debug)]
pub(crate) struct Making {
    _any: OwnedRwLockReadGuard<()>,
    _vpc: OwnedMutexGuard<()>,
}

impl Makers {
    /// Waits until nobody else makes anything in this VPC.
    pub(crate) async fn of(&self, vpc: &str) -> Making {
        let one = Arc::clone(locked(&self.by_vpc).entry(vpc.to_owned()).or_default());
        let vpc = one.lock_owned().await;
        Making {
            _any: Arc::clone(&self.any).read_owned().await,
            _vpc: vpc,
        }
    }

    /// Where nobody makes anything at the moment, nobody will while this is held. It does not wait, since those who come
    /// after somebody who waits would wait with them: for a call that hangs, in another VPC than their own.
    pub(crate) fn nobody(&self) -> Option<OwnedRwLockWriteGuard<()>> {
        Arc::clone(&self.any).try_write_owned().ok()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn one_maker_in_a_vpc_does_not_hold_up_those_of_another() {
        let makers = Makers::default();
        let making = makers.of("vpc-1").await;
        assert!(makers.of("vpc-1").now_or_never().is_none());
        assert!(makers.of("vpc-2").now_or_never().is_some());
        assert!(makers.nobody().is_none());
        drop(making);
        let nobody = makers.nobody();
        assert!(nobody.is_some());
        assert!(makers.of("vpc-1").now_or_never().is_none());
        drop(nobody);
        assert!(makers.of("vpc-1").now_or_never().is_some());
    }
}
