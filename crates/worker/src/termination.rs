//! Many instances are terminated in few calls, although one that EC2 refuses makes it refuse the whole call.

use aws::Cloud;

/// After so many instances that are refused one by one, the others wait for the next attempt: most likely it is the
/// permission that is missing, and asking for each of a thousand would use up the account's calls.
const MOST_REFUSALS: usize = 16;

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// EC2 takes these down, or does not know them: what that means the sweep decides.
    pub(crate) taken: Vec<String>,
    /// EC2 refuses these.
    pub(crate) refused: Vec<String>,
    /// The last refusal, or what made the attempt end.
    pub(crate) error: Option<aws::Error>,
}

/// Asks for all at once, and where that is refused, for each half by itself.
pub(crate) async fn ask(cloud: &dyn Cloud, instances: &[String]) -> Asked {
    let mut asked = Asked::default();
    let mut parts = vec![instances];
    while let Some(part) = parts.pop() {
        if part.is_empty() || asked.refused.len() >= MOST_REFUSALS {
            continue;
        }
        match cloud.terminate_instances(part).await {
            Ok(()) => asked.taken.extend_from_slice(part),
            Err(aws::Error::NotThere(_)) if part.len() == 1 => asked.taken.extend_from_slice(part),
            Err(
                error @ (aws::Error::Throttled(_)
                | aws::Error::OutcomeUnknown(_)
                | aws::Error::Stopped(_)),
            ) => {
                asked.error = Some(error);
                break;
            }
            Err(error) if part.len() == 1 => {
                asked.refused.extend_from_slice(part);
                asked.error = Some(error);
            }
            Err(_) => {
                let (first, second) = part.split_at(part.len() / 2);
                parts.extend([second, first]);
            }
        }
    }
    asked
}
