//! How a cluster's nodes lie in its zones when it is scaled and every zone is well.

/// How many nodes the zones have after a scale to `target`, the emptiest first.
///
/// The seed: each new node goes to the least populated zone. What goes first when a cluster shrinks is in the fullest
/// zone (`placement::choose_victims`; no node is unreachable here).
pub(super) fn scaled(before: &[usize], target: usize) -> Vec<usize> {
    let mut zones = before.to_vec();
    loop {
        zones.sort_unstable();
        let nodes: usize = zones.iter().sum();
        let changed = if nodes < target {
            zones.first_mut().map(|emptiest| *emptiest += 1)
        } else if nodes > target {
            zones.last_mut().map(|fullest| *fullest -= 1)
        } else {
            None
        };
        if changed.is_none() {
            return zones;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grows_evens_out_and_what_shrinks_does_so_too() {
        assert_eq!(scaled(&[0, 0, 0], 7), [2, 2, 3]);
        assert_eq!(scaled(&[5, 0, 0], 7), [1, 1, 5]);
        assert_eq!(scaled(&[5, 0, 1], 3), [0, 1, 2]);
        assert_eq!(scaled(&[1, 2], 0), [0, 0]);
        assert_eq!(scaled(&[], 0), Vec::<usize>::new());
    }
}
