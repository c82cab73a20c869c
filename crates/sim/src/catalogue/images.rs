//! Canonical's Ubuntu images, with an id per region.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::regions;
use crate::state::Ids;

/// Canonical's account.
pub(crate) const CANONICAL: &str = "099720109477";

/// An image in one region.
#[derive(Debug)]
pub(crate) struct Image {
    pub id: String,
    pub name: String,
    pub description: String,
    pub architecture: String,
    pub created: String,
    pub volume_type: String,
    pub volume_gb: u32,
    pub snapshot: String,
    pub root_device: &'static str,
}

/// An image as the data file has it: in every region unless it names one.
#[derive(Deserialize)]
struct Template {
    id: Option<String>,
    region: Option<String>,
    name: String,
    description: String,
    architecture: String,
    created: String,
    volume_type: String,
}

/// The snapshot size of Canonical's server images.
const VOLUME_GB: u32 = 8;

static IMAGES: LazyLock<BTreeMap<&'static str, Vec<Image>>> = LazyLock::new(|| {
    let templates: Vec<Template> = serde_json::from_str(include_str!("../../data/images.json"))
        .expect("the packaged images are read by a test");
    let of_region = |region: &str| {
        let here = |it: &&Template| it.region.as_ref().is_none_or(|only| only == region);
        templates
            .iter()
            .filter(here)
            .map(|it| it.image(region))
            .collect()
    };
    regions()
        .iter()
        .map(|region| (region.name.as_str(), of_region(&region.name)))
        .collect()
});

impl Template {
    fn image(&self, region: &str) -> Image {
        let mut ids = Ids::new(&[region, &self.name]);
        Image {
            id: self.id.clone().unwrap_or_else(|| ids.next("ami")),
            name: self.name.clone(),
            description: self.description.clone(),
            architecture: self.architecture.clone(),
            created: self.created.clone(),
            volume_type: self.volume_type.clone(),
            volume_gb: VOLUME_GB,
            snapshot: ids.next("snap"),
            root_device: "/dev/sda1",
        }
    }
}

pub(crate) fn images(region: &str) -> &'static [Image] {
    IMAGES.get(region).map(Vec::as_slice).unwrap_or_default()
}

pub(crate) fn image(region: &str, id: &str) -> Option<&'static Image> {
    images(region).iter().find(|image| image.id == id)
}
