//! Whether credentials are good: "Docker Cloud tries to dry-run an instance on every region. Credentials are marked as valid
//! if the operation succeeds at least in one of the regions" (Docker Cloud, "Use Docker Cloud on AWS", FAQ).

use std::{collections::BTreeSet, fmt, future::Future, time::Duration};

use tokio::{task::JoinSet, time::timeout};

use crate::{Account, Cloud, Clouds, Error, Link};

/// What is said of credentials that are good nowhere, as Docker Cloud said it.
pub const INVALID: &str = "Invalid AWS credentials or insufficient EC2 permissions";
/// How long a region may take; all are asked at the same time.
const PATIENCE: Duration = Duration::from_secs(6);
/// A region that is on in every account, to be asked about the others.
pub(crate) const NEVER_OFF: &str = "us-east-1";
/// Where an authorization failure is explained at length, in a form that only AWS can read.
const ENCODED: &str = "Encoded authorization failure message";

/// A launch that would be refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// What AWS said.
    pub error: Error,
    /// How the user sees the same.
    pub command: String,
}

/// What came of the dry run in a region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It would have succeeded.
    Permitted,
    /// The account has not opted in to the region.
    Off,
    /// AWS refused.
    Refused(Denial),
    /// AWS has not answered in time.
    NoAnswer,
}

impl Verdict {
    /// Whether the region has said nothing that lasts.
    fn is_silence(&self) -> bool {
        match self {
            Self::NoAnswer => true,
            Self::Refused(denial) => denial.error.may_pass(),
            Self::Permitted | Self::Off => false,
        }
    }
}

/// What came of the dry runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// By region.
    pub regions: Vec<(String, Verdict)>,
    /// How the user sees whether the credentials are known at all.
    pub command: String,
}

impl Report {
    /// Whether a launch is permitted somewhere.
    pub fn is_good(&self) -> bool {
        let permitted = |(_, verdict): &(String, Verdict)| *verdict == Verdict::Permitted;
        self.regions.iter().any(permitted)
    }

    /// Whether nothing can be said of the credentials: no region answered at all.
    pub fn is_silent(&self) -> bool {
        // That a region is off tells of the account, and nothing of what may be done in the others.
        self.regions
            .iter()
            .all(|(_, verdict)| *verdict == Verdict::Off || verdict.is_silence())
    }

    /// Whether credentials that were good are so no more: a region whose answer is missing may be the one that permits,
    /// unless it is the credentials themselves that are refused.
    pub fn is_final(&self) -> bool {
        let about_credentials = |(_, verdict): &(String, Verdict)| match verdict {
            Verdict::Refused(denial) => denial.error.is_about_credentials(),
            Verdict::Permitted | Verdict::Off | Verdict::NoAnswer => false,
        };
        let is_complete = !self.regions.iter().any(|(_, verdict)| verdict.is_silence());
        !self.is_silent() && (is_complete || self.regions.iter().any(about_credentials))
    }
}

/// For the user: what AWS said in each region that does not permit it, and a command with which to see the same.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (region, verdict) in &self.regions {
            match verdict {
                Verdict::Permitted => continue,
                Verdict::Off => writeln!(f, "{region}: the account has not opted in to it")?,
                Verdict::NoAnswer => writeln!(f, "{region}: no answer in time")?,
                Verdict::Refused(denial) => writeln!(f, "{region}: {}", words(&denial.error))?,
            }
        }
        let of_ec2 = self.regions.iter().find_map(|(_, verdict)| match verdict {
            Verdict::Refused(denial) if !denial.error.is_of_sts() => Some(&denial.command),
            _ => None,
        });
        match of_ec2 {
            Some(command) => write!(f, "To see the same with these credentials: {command}"),
            None => write!(f, "To see the same: {}", self.command),
        }
    }
}

/// What AWS said, as far as people can read it.
pub(crate) fn words(error: &Error) -> String {
    let words = error.to_string();
    let words = words.split(ENCODED).next().unwrap_or_default();
    words.trim().to_owned()
}

/// Tries the link's credentials in each of the regions.
pub async fn validate(clouds: &dyn Clouds, link: &Link, regions: &[String]) -> Report {
    let clouds = clouds.clouds(link, regions).await;
    let home = regions.iter().position(|region| region == NEVER_OFF);
    let home = clouds.get(home.unwrap_or(0)).cloned();
    let off = async {
        match home {
            // It tells only why a region refuses; where it may not be asked, the refusals stand for themselves.
            Some(cloud) => timeout(PATIENCE, off(&*cloud)).await.unwrap_or_default(),
            None => BTreeSet::new(),
        }
    };
    let asked = regions.iter().cloned().zip(clouds);
    let asked = asked.map(|(region, cloud)| async move { (region, cloud.may_launch().await) });
    let (mut verdicts, off) = tokio::join!(in_time(regions, asked), off);
    for (region, verdict) in &mut verdicts {
        if let Verdict::Refused(denial) = verdict
            && denial.error.is_about_credentials()
            && (off.contains(region) || denial.error.said().code == "OptInRequired")
        {
            *verdict = Verdict::Off;
        }
    }
    Report {
        regions: verdicts,
        command: link.credentials.command(),
    }
}

/// The regions that the account has not opted in to.
async fn off(cloud: &dyn Cloud) -> BTreeSet<String> {
    let regions = Account::regions(cloud).await.unwrap_or_default();
    let off = regions.into_iter().filter(|region| !region.is_on);
    off.map(|region| region.name).collect()
}

/// What each of the regions says; one that has not answered in time has said nothing.
async fn in_time<F>(regions: &[String], asked: impl Iterator<Item = F>) -> Vec<(String, Verdict)>
where
    F: Future<Output = (String, Result<(), Denial>)> + Send + 'static,
{
    let mut asking: JoinSet<_> = asked.map(|asked| timeout(PATIENCE, asked)).collect();
    let mut said = Vec::new();
    while let Some(answer) = asking.join_next().await {
        if let Ok(Ok((region, answer))) = answer {
            said.push((region, answer));
        }
    }
    let verdict = |region: &String| {
        let answer = said.iter().find(|(it, _)| it == region);
        match answer {
            Some((_, Ok(()))) => Verdict::Permitted,
            Some((_, Err(denial))) if !denial.error.is_silence() => {
                Verdict::Refused(denial.clone())
            }
            _ => Verdict::NoAnswer,
        }
    };
    let verdicts = regions.iter().map(|it| (it.clone(), verdict(it)));
    verdicts.collect()
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::{Credentials, Said};

    fn denial(code: &str, message: &str) -> Denial {
        Denial {
            error: Error::from_said(Said {
                action: "RunInstances",
                code: code.into(),
                message: message.into(),
            }),
            command: "aws ec2 run-instances --dry-run".into(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn seventeen_regions_of_which_two_hang_are_tried_in_less_than_ten_seconds() {
        let regions: Vec<String> = (0..17).map(|n| format!("region-{n}")).collect();
        let begun = Instant::now();
        let asked = regions
            .iter()
            .cloned()
            .enumerate()
            .map(|(n, region)| async move {
                if n % 10 == 3 {
                    std::future::pending::<()>().await;
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
                (region, Ok(()))
            });
        let verdicts = in_time(&regions, asked).await;
        assert!(begun.elapsed() < Duration::from_secs(10));
        let silent = verdicts.iter().filter(|(_, it)| *it == Verdict::NoAnswer);
        let silent: Vec<_> = silent.map(|(region, _)| region.as_str()).collect();
        assert_eq!(silent, ["region-3", "region-13"]);
        let report = Report {
            regions: verdicts,
            command: String::new(),
        };
        assert!(report.is_good() && !report.is_silent());
    }

    #[test]
    fn one_region_is_enough_and_trouble_of_awss_says_nothing() {
        let report = |verdicts: Vec<Verdict>| Report {
            regions: verdicts.into_iter().map(|it| ("r".into(), it)).collect(),
            command: String::new(),
        };
        let refused = || Verdict::Refused(denial("UnauthorizedOperation", "no"));
        let trouble = || Verdict::Refused(denial("Unavailable", "later"));
        assert!(report(vec![refused(), Verdict::Permitted, Verdict::Off]).is_good());
        assert!(!report(vec![refused(), Verdict::Off]).is_good());
        assert!(!report(vec![refused(), Verdict::NoAnswer]).is_silent());
        assert!(report(vec![trouble(), Verdict::NoAnswer]).is_silent());
        assert!(report(vec![Verdict::Off, Verdict::NoAnswer]).is_silent());
    }

    #[test]
    fn a_missing_answer_may_be_the_good_one_unless_the_credentials_are_not_known() {
        let report = |verdicts: Vec<Verdict>| Report {
            regions: verdicts.into_iter().map(|it| ("r".into(), it)).collect(),
            command: String::new(),
        };
        let refused = |code| Verdict::Refused(denial(code, "no"));
        assert!(report(vec![refused("UnauthorizedOperation"), Verdict::Off]).is_final());
        assert!(!report(vec![refused("UnauthorizedOperation"), Verdict::NoAnswer]).is_final());
        let trouble = vec![refused("UnauthorizedOperation"), refused("Unavailable")];
        assert!(!report(trouble).is_final());
        assert!(report(vec![refused("AuthFailure"), Verdict::NoAnswer]).is_final());
        assert!(!report(vec![Verdict::Off, Verdict::NoAnswer]).is_final());
    }

    #[test]
    fn the_words_name_each_region_and_a_command() {
        let long = "You may not. Encoded authorization failure message: AbCd";
        let report = Report {
            regions: vec![
                ("a".into(), Verdict::Permitted),
                ("b".into(), Verdict::Off),
                ("c".into(), Verdict::NoAnswer),
                (
                    "d".into(),
                    Verdict::Refused(denial("UnauthorizedOperation", long)),
                ),
            ],
            command: "aws sts".into(),
        };
        assert_eq!(
            report.to_string(),
            "b: the account has not opted in to it\n\
             c: no answer in time\n\
             d: UnauthorizedOperation (RunInstances): You may not.\n\
             To see the same with these credentials: aws ec2 run-instances --dry-run"
        );
    }

    #[test]
    fn what_sts_refuses_is_seen_by_asking_sts() {
        let role = Credentials::Role {
            arn: "arn:aws:iam::111122223333:role/berth".into(),
            external_id: "e-1".into(),
        };
        let mut refused = denial("AccessDenied", "no");
        refused.error = Error::from_said(Said {
            action: "AssumeRole",
            ..refused.error.said().clone()
        });
        let report = Report {
            regions: vec![("a".into(), Verdict::Refused(refused))],
            command: role.command(),
        };
        let words = report.to_string();
        let (_, command) = words.split_once("see the same").unwrap();
        assert!(
            command.contains(
                "aws sts assume-role --role-arn arn:aws:iam::111122223333:role/berth --role-session-name berth \
                 --external-id e-1\n"
            ),
            "{command}"
        );
    }
}
