//! Images: Canonical's, which are public.

use crate::call::Call;
use crate::catalogue::{self, CANONICAL, Image};
use crate::protocol::filter::{Fields, Filters, Tags, wildcard};
use crate::protocol::page::Page;
use crate::protocol::{Element, Outcome, el};
use crate::state::Kind;

const FILTERS: Fields<&'static Image> = &[
    ("architecture", |it| vec![it.architecture.clone()]),
    ("block-device-mapping.volume-type", |it| {
        vec![it.volume_type.clone()]
    }),
    ("creation-date", |it| vec![it.created.clone()]),
    ("description", |it| vec![it.description.clone()]),
    ("hypervisor", |_| vec!["xen".to_owned()]),
    ("image-id", |it| vec![it.id.clone()]),
    ("image-type", |_| vec!["machine".to_owned()]),
    ("is-public", |_| vec!["true".to_owned()]),
    ("name", |it| vec![it.name.clone()]),
    ("owner-id", |_| vec![CANONICAL.to_owned()]),
    ("root-device-name", |it| vec![it.root_device.to_owned()]),
    ("root-device-type", |_| vec!["ebs".to_owned()]),
    ("state", |_| vec!["available".to_owned()]),
    ("virtualization-type", |_| vec!["hvm".to_owned()]),
];

pub(crate) fn describe(call: &mut Call<'_>) -> Outcome {
    let ids = call.ids("ImageId", Kind::Image)?;
    let owners = call.params.values("Owner");
    let executable_by = call.params.values("ExecutableBy");
    call.params.flag("IncludeDeprecated")?;
    call.params.flag("IncludeDisabled")?;
    let filters = Filters::read(&call.params, FILTERS)?;
    let page = Page::read(&call.params, 1, 1000)?;
    let region = call.read()?.region;
    region.all_exist(Kind::Image, &ids)?;
    // All images are Canonical's and public: other owners (`self`, `amazon`, …) have none, and only `all` may run them.
    let owned = owners.is_empty() || owners.iter().any(|owner| wildcard(owner, CANONICAL));
    let executable = executable_by.is_empty() || executable_by.contains(&"all");
    let mut images: Vec<&'static Image> = catalogue::images(&region.name).iter().collect();
    images.retain(|it| {
        let wanted = ids.is_empty() || ids.contains(&it.id.as_str());
        owned && executable && wanted && filters.matches(it, &Tags::new())
    });
    let cut = page.cut(images, |it| it.id.clone());
    Ok(Element::answer()
        .list("imagesSet", cut.items.into_iter().map(shown))
        .next_token(cut.next))
}

fn shown(image: &Image) -> Element {
    let ebs = el("ebs")
        .text("deleteOnTermination", true)
        .text("snapshotId", &image.snapshot)
        .text("volumeSize", image.volume_gb)
        .text("volumeType", &image.volume_type)
        .text("encrypted", false);
    let root = el("item").text("deviceName", image.root_device).child(ebs);
    el("item")
        .text("imageId", &image.id)
        .text("imageLocation", format!("{CANONICAL}/{}", image.name))
        .text("imageState", "available")
        .text("imageOwnerId", CANONICAL)
        .text("creationDate", &image.created)
        .text("isPublic", true)
        .text("architecture", &image.architecture)
        .text("imageType", "machine")
        .text("enaSupport", true)
        .text("sriovNetSupport", "simple")
        .text("name", &image.name)
        .text("description", &image.description)
        .text("platformDetails", "Linux/UNIX")
        .text("usageOperation", "RunInstances")
        .text("rootDeviceType", "ebs")
        .text("rootDeviceName", image.root_device)
        .list("blockDeviceMapping", [root])
        .text("virtualizationType", "hvm")
        .text("hypervisor", "xen")
}
