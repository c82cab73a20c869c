//! How much a namespace may have.

/// Limits; what is absent is not limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// How many node clusters that are not terminated.
    pub clusters: Option<u32>,
    /// How many nodes that are there or are wanted.
    pub nodes: Option<u32>,
}

/// What a namespace has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Used {
    /// Node clusters that are not terminated.
    pub clusters: u32,
    /// Nodes that are there or are wanted.
    pub nodes: u32,
}

/// A change that would take a namespace over a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the namespace would have {wanted} {what}, and may have {limit}: terminate some, or ask the operator of this \
     installation for more"
)]
pub struct OverQuota {
    what: &'static str,
    wanted: u32,
    limit: u32,
}

impl Limits {
    /// These, and where one is absent, that of `other`.
    pub fn or(self, other: Self) -> Self {
        Self {
            clusters: self.clusters.or(other.clusters),
            nodes: self.nodes.or(other.nodes),
        }
    }

    /// Whether a change keeps to the limits. One that takes nothing more is always allowed: limits may be set below what
    /// there is.
    ///
    /// # Errors
    /// [`OverQuota`], with the numbers.
    pub fn check(self, before: Used, after: Used) -> Result<(), OverQuota> {
        let one = |what, limit: Option<u32>, before: u32, after: u32| match limit {
            Some(limit) if after > limit && after > before => Err(OverQuota {
                what,
                wanted: after,
                limit,
            }),
            _ => Ok(()),
        };
        one(
            "node clusters",
            self.clusters,
            before.clusters,
            after.clusters,
        )?;
        one("nodes", self.nodes, before.nodes, after.nodes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(clusters: u32, nodes: u32) -> Used {
        Used { clusters, nodes }
    }

    #[test]
    fn only_growing_over_a_limit_is_refused() {
        let limits = Limits {
            clusters: Some(2),
            nodes: Some(5),
        };
        assert_eq!(limits.check(has(1, 0), has(2, 5)), Ok(()));
        assert_eq!(limits.check(has(4, 9), has(4, 8)), Ok(()));
        let error = limits.check(has(2, 5), has(2, 6)).unwrap_err().to_string();
        assert!(error.contains("6 nodes, and may have 5"), "{error}");
        let error = limits.check(has(2, 0), has(3, 0)).unwrap_err().to_string();
        assert!(error.contains("3 node clusters, and may have 2"), "{error}");
        assert_eq!(Limits::default().check(has(0, 0), has(9, 999)), Ok(()));
    }

    #[test]
    fn a_limit_of_its_own_comes_before_that_of_the_installation() {
        let own = Limits {
            clusters: None,
            nodes: Some(0),
        };
        let installation = Limits {
            clusters: Some(7),
            nodes: Some(9),
        };
        let both = own.or(installation);
        assert_eq!((both.clusters, both.nodes), (Some(7), Some(0)));
    }
}
