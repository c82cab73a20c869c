//! Whether what exists is seen yet: the place of EC2's eventual consistency ("a new id may answer NotFound for some
//! seconds"). Until that is simulated, everything is seen at once.

use crate::protocol::ApiError;
use crate::state::{Kind, Region};

impl Region {
    /// Refuses when any of the ids is unknown.
    pub(crate) fn all_exist(&self, kind: Kind, ids: &[&str]) -> Result<(), ApiError> {
        let unseen = |id: &&str| !self.exists(kind, id);
        let unknown: Vec<&str> = ids.iter().copied().filter(unseen).collect();
        if unknown.is_empty() {
            Ok(())
        } else {
            Err(kind.none_of(&unknown))
        }
    }
}
