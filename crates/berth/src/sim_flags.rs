//! What the flags of `berth sim` and `berth dev` order of the simulated AWS: the same orders as its control API takes.

use std::path::Path;

use serde_json::{Value, json};
use sim::{Scenario, Simulator};
use tokio::task::JoinHandle;

use crate::{Error, cli::Behavior};

/// Carries out what the flags say.
///
/// # Errors
/// A flag whose value can't be meant; the error names it.
pub(crate) fn apply(flags: &Behavior, simulator: &Simulator) -> Result<(), Error> {
    let order = |flag: String, name: &str, body: Value| {
        let done = simulator.order(name, body);
        done.map_err(|wrong| Error::Usage(format!("{flag}: {wrong}")))
    };
    if flags.throttle {
        order("--throttle".into(), "throttling", json!({"on": true}))?;
    }
    if let Some((min, max)) = flags.consistency_ms {
        let body = json!({"min_ms": min, "max_ms": max});
        order(format!("--consistency-ms {min}-{max}"), "consistency", body)?;
    }
    if let Some(vcpus) = flags.vcpus {
        order(
            format!("--vcpus {vcpus}"),
            "quotas",
            json!({"vcpus": vcpus}),
        )?;
    }
    for text in &flags.capacity {
        let flag = format!("--capacity {text}");
        let body = capacity(text)
            .ok_or_else(|| Error::Usage(format!("{flag}: must be as us-east-1a/t3.micro=3")))?;
        order(flag, "capacity", body)?;
    }
    for text in &flags.policy {
        let flag = format!("--policy {text}");
        let (access_key, file) = text
            .split_once('=')
            .ok_or_else(|| Error::Usage(format!("{flag}: must be as ACCESS_KEY=FILE")))?;
        let document: Value = serde_json::from_str(&read(&flag, Path::new(file))?)
            .map_err(|error| Error::Usage(format!("{flag}: not JSON: {error}")))?;
        let body = json!({"access_key": access_key, "policy": document});
        order(flag, "policy", body)?;
    }
    for text in &flags.order {
        let flag = format!("--order {text}");
        let (name, body) = text
            .split_once('=')
            .ok_or_else(|| Error::Usage(format!("{flag}: must be as quotas={{\"vpcs\":5}}")))?;
        let body: Value = serde_json::from_str(body)
            .map_err(|error| Error::Usage(format!("{flag}: not JSON: {error}")))?;
        order(flag, name, body)?;
    }
    Ok(())
}

/// `ZONE/TYPE=N`. The region is the zone without its letter, which may be a wildcard.
fn capacity(text: &str) -> Option<Value> {
    let (place, limit) = text.split_once('=')?;
    let (zone, instance_type) = place.split_once('/')?;
    let limit: u32 = limit.parse().ok()?;
    let region = zone.trim_end_matches(|c: char| !c.is_ascii_digit());
    Some(json!({
        "region": region, "zone": zone, "instance_type": instance_type, "limit": limit,
    }))
}

/// Starts a scenario; the task carries out the orders that come later.
///
/// # Errors
/// A file that can't be read, or that is no scenario; the error names the place.
pub(crate) fn scenario(file: &Path, simulator: &Simulator) -> Result<JoinHandle<()>, Error> {
    let flag = format!("--scenario {}", file.display());
    let wrong = |wrong| Error::Usage(format!("{flag}: {wrong}"));
    let scenario = Scenario::read(&read(&flag, file)?).map_err(wrong)?;
    Ok(tokio::spawn(scenario.start(simulator).map_err(wrong)?))
}

fn read(flag: &str, file: &Path) -> Result<String, Error> {
    std::fs::read_to_string(file)
        .map_err(|error| Error::Io(format!("{flag}: the file can't be read"), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_region_of_a_capacity_is_in_the_name_of_its_zone() {
        let region = |text| capacity(text).unwrap()["region"].clone();
        assert_eq!(region("us-east-1a/t3.micro=3"), "us-east-1");
        assert_eq!(region("ap-southeast-2?/*=0"), "ap-southeast-2");
        for bad in [
            "",
            "us-east-1a=3",
            "us-east-1a/t3.micro",
            "us-east-1a/t3.micro=x",
        ] {
            assert_eq!(capacity(bad), None, "{bad}");
        }
    }
}
