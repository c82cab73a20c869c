//! `GET /api/infra/v1/provider/aws/options/`: what can be chosen for the nodes of a region, as the drop-downs of Docker
//! Cloud's launch view showed it: read from AWS when it is asked for, and kept for seconds.

use std::{collections::HashMap, future::Future, sync::Arc, time::Duration};

use aws::{Clouds, SecurityGroup, Subnet, Tags, Vpc};
use axum::{
    Json,
    extract::{Query, State},
    http::Uri,
};
use domain::{cluster::Invalid, ids::LinkId, tags};
use serde::Serialize;
use store::{installation, link};
use tokio::{sync::Mutex, time::Instant};
use utoipa::ToSchema;

use crate::{
    App,
    auth::Caller,
    error::{ApiError, ErrorBody},
    uri,
};

/// How long a reading is good enough: a person who looks around asks often.
const KEPT_FOR: Duration = Duration::from_secs(5);
/// How long AWS may take for one list.
const PATIENCE: Duration = Duration::from_secs(8);
const REGION: &str = "region";

/// What can be chosen for the nodes of a region, to be given as `provider_options`.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct LaunchOptions {
    /// The names of the account's instance profiles, for `iam.instance_profile_name`.
    #[schema(example = json!(["web"]))]
    instance_profiles: Vec<String>,
    /// What AWS said where it does not let a list be read.
    refusals: Refusals,
    /// The URI of the region.
    #[schema(example = "/api/infra/v1/region/aws/us-east-1/")]
    region: String,
    /// The VPCs; the first entry is the choice to leave it to Berth.
    vpcs: Vec<VpcOption>,
}

/// For each list that can't be read, AWS's words; such a list is empty.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub(crate) struct Refusals {
    /// Of `instance_profiles`.
    #[schema(
        example = "AccessDenied (ListInstanceProfiles): User: … is not authorized to perform: iam:ListInstanceProfiles"
    )]
    instance_profiles: Option<String>,
    /// Of the VPCs' `security_groups`.
    security_groups: Option<String>,
    /// Of the VPCs' `subnets`.
    subnets: Option<String>,
    /// Of `vpcs`.
    vpcs: Option<String>,
}

/// A VPC that nodes can be launched in.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct VpcOption {
    /// Its block; null for the choice to leave it to Berth.
    #[schema(example = "10.78.0.0/16")]
    cidr: Option<String>,
    /// For `vpc.id`; null for the choice to leave it to Berth, which is to give no `vpc` at all.
    #[schema(example = "vpc-0a1b2c3d4e5f60718")]
    id: Option<String>,
    /// Whether it is the `dc-vpc` that Berth made for this namespace's clusters.
    is_managed: bool,
    /// For people: its tag Name, if it has one, and its id.
    #[schema(example = "production (vpc-0a1b2c3d4e5f60718)")]
    label: String,
    /// Its security groups, for `vpc.security_groups`.
    security_groups: Vec<SecurityGroupOption>,
    /// Its subnets, for `vpc.subnets`.
    subnets: Vec<SubnetOption>,
}

/// A subnet that nodes can be launched in.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct SubnetOption {
    /// The URI of the zone that it is in.
    #[schema(example = "/api/infra/v1/az/aws/us-east-1/us-east-1a/")]
    availability_zone: String,
    /// Its block.
    #[schema(example = "10.78.0.0/18")]
    cidr: String,
    /// How many more addresses it has.
    #[schema(example = 16379)]
    free_addresses: u32,
    /// Its id.
    #[schema(example = "subnet-0a1b2c3d4e5f60718")]
    id: String,
    /// For people: its tag Name, if it has one, and its id.
    label: String,
}

/// A security group that nodes can be in.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct SecurityGroupOption {
    /// Its id.
    #[schema(example = "sg-0a1b2c3d4e5f60718")]
    id: String,
    /// For people: its name and its id.
    label: String,
}

/// A link, the version of its credentials, and a region.
type Place = (LinkId, i64, String);

/// What was read a moment ago.
#[derive(Debug, Default)]
pub(crate) struct Cache(Mutex<HashMap<Place, (Instant, Arc<LaunchOptions>)>>);

impl Cache {
    async fn get(&self, place: &Place) -> Option<Arc<LaunchOptions>> {
        let mut kept = self.0.lock().await;
        kept.retain(|_, (at, _)| at.elapsed() < KEPT_FOR);
        kept.get(place).map(|(_, options)| Arc::clone(options))
    }

    async fn keep(&self, place: Place, options: &Arc<LaunchOptions>) {
        let entry = (Instant::now(), Arc::clone(options));
        self.0.lock().await.insert(place, entry);
    }
}

/// List what can be chosen in a region
///
/// VPCs, their subnets and security groups, and instance profiles, as AWS has them at the moment, with the namespace's
/// credentials.
#[utoipa::path(
    get,
    path = "/api/infra/v1/provider/aws/options/",
    operation_id = "get_launch_options",
    tag = "Providers",
    params(
        (
            "region" = String, Query, pattern = "^/*(([^/]+/+)*region/+)?(aws/+)?[^/]+/*$", description = "The region: its URI or its name.",
            example = "us-east-1"
        ),
    ),
    responses(
        (status = 200, description = "What can be chosen.", body = LaunchOptions),
        (
            status = 400, description = "There is no such region, or the namespace has no credentials.", body = ErrorBody
        ),
    )
)]
pub(crate) async fn get(
    State(app): State<App>,
    caller: Caller,
    uri: Uri,
) -> Result<Json<LaunchOptions>, ApiError> {
    let region = wanted_region(&uri)?;
    if app.catalogue(&caller).await?.region(&region).is_none() {
        let words = format!("there is no region {region:?}; see GET /api/infra/v1/region/");
        return Err(Invalid::new(REGION, words).into());
    }
    let mut connection = app.pool.acquire().await?;
    let of = link::keep(&mut connection, caller.namespace()).await?;
    super::credentials::are_there(&app, &caller.uris, &of)?;
    let installation = installation::id(&mut connection).await?;
    drop(connection);
    let place = (of.link.id, of.link.version, region.clone());
    if let Some(kept) = app.options.get(&place).await {
        return Ok(Json(LaunchOptions::clone(&kept)));
    }
    let link = links::open(&of.link, app.secret_key.as_ref());
    let mark = links::mark(&link, installation).to_string();
    let options = Arc::new(read(app.clouds()?, &link, &region, &mark).await);
    app.options.keep(place, &options).await;
    Ok(Json(LaunchOptions::clone(&options)))
}

fn wanted_region(uri: &Uri) -> Result<String, Invalid> {
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
        .map_err(|error| Invalid::new("query", error.to_string()))?;
    if let Some((name, _)) = pairs.iter().find(|(name, _)| name != REGION) {
        let words = format!("is no parameter of this resource; it has {REGION}");
        return Err(Invalid::new(format!("{name:?}"), words));
    }
    // Of one given twice the last one counts.
    let (_, region) = pairs.last().ok_or_else(|| {
        Invalid::new(REGION, "it is missing: give a region, as ?region=us-east-1")
    })?;
    uri::parse_region(region).map_err(|reason| Invalid::new(REGION, reason))
}

async fn read(clouds: &dyn Clouds, link: &aws::Link, region: &str, mark: &str) -> LaunchOptions {
    let cloud = clouds.cloud(link, region).await;
    let (vpcs, subnets, groups, profiles) = tokio::join!(
        listed(cloud.all_vpcs()),
        listed(cloud.all_subnets()),
        listed(cloud.all_security_groups()),
        listed(clouds.instance_profiles(link)),
    );
    let mut options = vec![VpcOption::left_to_berth()];
    options.extend(
        vpcs.0
            .into_iter()
            .map(|vpc| VpcOption::new(vpc, &subnets.0, &groups.0, mark)),
    );
    // What Berth manages first, then by name.
    options[1..].sort_by(|a, b| (!a.is_managed, &a.label).cmp(&(!b.is_managed, &b.label)));
    LaunchOptions {
        instance_profiles: profiles.0,
        refusals: Refusals {
            instance_profiles: profiles.1,
            security_groups: groups.1,
            subnets: subnets.1,
            vpcs: vpcs.1,
        },
        region: uri::region(region),
        vpcs: options,
    }
}

/// A list, or none of it and AWS's words.
async fn listed<T>(list: impl Future<Output = aws::Result<Vec<T>>>) -> (Vec<T>, Option<String>) {
    match tokio::time::timeout(PATIENCE, list).await {
        Ok(Ok(list)) => (list, None),
        Ok(Err(error)) => (Vec::new(), Some(error.to_string())),
        Err(_) => {
            let words = format!("AWS has not answered within {PATIENCE:?}; try again shortly");
            (Vec::new(), Some(words))
        }
    }
}

impl VpcOption {
    fn left_to_berth() -> Self {
        Self {
            cidr: None,
            id: None,
            is_managed: false,
            label: "Auto".to_owned(),
            security_groups: Vec::new(),
            subnets: Vec::new(),
        }
    }

    fn new(vpc: Vpc, subnets: &[Subnet], groups: &[SecurityGroup], mark: &str) -> Self {
        let is_managed =
            vpc.tags.name() == Some(tags::VPC_NAME) && vpc.tags.installation() == Some(mark);
        let mut subnets: Vec<_> = subnets.iter().filter(|it| it.vpc_id == vpc.id).collect();
        subnets.sort_by(|a, b| (&a.zone, &a.cidr).cmp(&(&b.zone, &b.cidr)));
        let mut groups: Vec<_> = groups.iter().filter(|it| it.vpc_id == vpc.id).collect();
        groups.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        Self {
            label: label(&vpc.tags, &vpc.id),
            is_managed,
            security_groups: groups.into_iter().map(SecurityGroupOption::new).collect(),
            subnets: subnets.into_iter().map(SubnetOption::new).collect(),
            cidr: Some(vpc.cidr),
            id: Some(vpc.id),
        }
    }
}

impl SubnetOption {
    fn new(subnet: &Subnet) -> Self {
        // A zone is named by its region and a letter.
        let region = subnet
            .zone
            .trim_end_matches(|c: char| c.is_ascii_lowercase());
        Self {
            availability_zone: uri::zone(region, &subnet.zone),
            cidr: subnet.cidr.clone(),
            free_addresses: subnet.free_addresses,
            id: subnet.id.clone(),
            label: label(&subnet.tags, &subnet.id),
        }
    }
}

impl SecurityGroupOption {
    fn new(group: &SecurityGroup) -> Self {
        Self {
            id: group.id.clone(),
            label: format!("{} ({})", group.name, group.id),
        }
    }
}

fn label(tags: &Tags, id: &str) -> String {
    match tags.name().filter(|name| !name.is_empty()) {
        Some(name) => format!("{name} ({id})"),
        None => id.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(query: &str) -> Result<String, String> {
        let uri = format!("/?{query}").parse().unwrap();
        wanted_region(&uri).map_err(|error| error.to_string())
    }

    #[test]
    fn the_region_is_named_by_its_uri_or_its_name() {
        for query in [
            "region=us-east-1",
            "region=/api/infra/v1/region/aws/us-east-1/",
            "region=eu-west-1&region=us-east-1",
        ] {
            assert_eq!(wanted(query), Ok("us-east-1".to_owned()), "{query}");
        }
        assert!(wanted("").unwrap_err().starts_with("region: it is missing"));
        let unknown = wanted("region=us-east-1&zone=a").unwrap_err();
        assert!(unknown.contains("is no parameter"), "{unknown}");
    }
}
