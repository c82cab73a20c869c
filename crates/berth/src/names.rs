//! The zone in which nodes get names: what the settings say, and what Route 53 says to that.

use aws::Clouds;
use store::naming::Zone;
use tracing::warn;

use crate::{Error, cli::NameOptions};

/// "The total length of a domain name … 255" of which a node's name takes `*.`, its id, and `.node.`.
const LONGEST_DOMAIN: usize = 200;
const ZONE: &str = "BERTH_HOSTED_ZONE_ID (--hosted-zone-id)";
const DOMAIN: &str = "BERTH_NODE_DOMAIN (--node-domain)";

/// The zone that is asked for.
///
/// # Errors
/// Settings that can't be meant. Where Route 53 can't be asked whether the domain is under the zone, that is no error: the
/// worker says again what is wrong when it makes a name.
pub(crate) async fn zone(options: NameOptions, clouds: &dyn Clouds) -> Result<Option<Zone>, Error> {
    let Some(zone) = read(options).map_err(Error::Usage)? else {
        return Ok(None);
    };
    let id = &zone.hosted_zone_id;
    match clouds.names().await.zone_name(id).await {
        Ok(name) if is_under(&zone.domain, &name) => {}
        Ok(name) => {
            let domain = &zone.domain;
            return Err(Error::Usage(format!(
                "{DOMAIN} is {domain}, which is not under the hosted zone {id}: it must be {name} or end with .{name}"
            )));
        }
        Err(aws::Error::NotThere(said)) => {
            return Err(Error::Usage(format!(
                "{ZONE} is {id}, and there is no such hosted zone in this account: {said}"
            )));
        }
        Err(error) => warn!(zone = id, %error, "Route 53 can't be asked for the hosted zone"),
    }
    Ok(Some(zone))
}

fn read(options: NameOptions) -> Result<Option<Zone>, String> {
    // An empty variable is one that is not set, as in a file for docker compose.
    let not_empty = |it: Option<String>| it.filter(|it| !it.is_empty());
    let (id, domain) = match (
        not_empty(options.hosted_zone_id),
        not_empty(options.node_domain),
    ) {
        (None, None) => return Ok(None),
        (Some(id), Some(domain)) => (id, domain),
        (Some(_), None) => {
            return Err(format!("{ZONE} is set without {DOMAIN}: set both, or none"));
        }
        (None, Some(_)) => {
            return Err(format!("{DOMAIN} is set without {ZONE}: set both, or none"));
        }
    };
    let bare = id.strip_prefix("/hostedzone/").unwrap_or(&id);
    if bare.is_empty() || !bare.bytes().all(|b| b.is_ascii_alphanumeric()) || bare.len() > 32 {
        return Err(format!(
            "{ZONE} is {id:?}: it must be as Z0123456789ABCDEFGHIJ"
        ));
    }
    let lower = domain.to_ascii_lowercase();
    let lower = lower.strip_suffix('.').unwrap_or(&lower);
    if lower.len() > LONGEST_DOMAIN || !lower.split('.').all(is_label) {
        return Err(format!(
            "{DOMAIN} is {domain:?}: it must be a domain such as example.com, of at most {LONGEST_DOMAIN} characters"
        ));
    }
    Ok(Some(Zone {
        hosted_zone_id: bare.to_owned(),
        domain: lower.to_owned(),
    }))
}

fn is_label(label: &str) -> bool {
    let sound = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    (1..=63).contains(&label.len())
        && label.bytes().all(sound)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

fn is_under(domain: &str, zone: &str) -> bool {
    let front = domain.strip_suffix(zone);
    front.is_some_and(|front| front.is_empty() || front.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(id: &str, domain: &str) -> Result<Option<Zone>, String> {
        read(NameOptions {
            hosted_zone_id: Some(id.into()),
            node_domain: Some(domain.into()),
        })
    }

    #[test]
    fn a_zone_and_a_domain_are_set_together_or_not_at_all() {
        assert_eq!(settings("", ""), Ok(None));
        let zone = settings("/hostedzone/Z1", "Nodes.Example.com.")
            .unwrap()
            .unwrap();
        assert_eq!(zone.hosted_zone_id, "Z1");
        assert_eq!(zone.domain, "nodes.example.com");
        assert!(
            settings("Z1", "")
                .unwrap_err()
                .contains("set without BERTH_NODE_DOMAIN")
        );
        assert!(
            settings("", "a.b")
                .unwrap_err()
                .contains("set without BERTH_HOSTED_ZONE_ID")
        );
    }

    #[test]
    fn what_can_not_be_meant_is_refused() {
        for id in ["Z 1", "example.com", "/hostedzone/", "/change/C1"] {
            assert!(settings(id, "example.com").is_err(), "{id}");
        }
        let long = "a.".repeat(101);
        for domain in [".", "a..b", "-a.b", "a_b.c", "*.a.b", "a b", &long] {
            assert!(settings("Z1", domain).is_err(), "{domain}");
        }
    }

    #[test]
    fn a_domain_is_under_a_zone_by_whole_labels() {
        assert!(is_under("example.com", "example.com"));
        assert!(is_under("a.example.com", "example.com"));
        assert!(!is_under("badexample.com", "example.com"));
        assert!(!is_under("com", "example.com"));
    }
}
