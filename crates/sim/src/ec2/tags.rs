//! Tags: in the call that creates something, and afterwards.

use crate::call::Call;
use crate::protocol::filter::{Fields, Filters, Tags};
use crate::protocol::page::Page;
use crate::protocol::{ApiError, Element, Outcome, Scope, el};
use crate::state::{Kind, Region};

/// "Tag restrictions".
const MAX_TAGS: usize = 50;
const MAX_KEY: usize = 128;
const MAX_VALUE: usize = 256;

/// Reads `TagSpecification.N`, of which each must be for one of the kinds that the action creates. The result has the
/// tags per kind.
pub(crate) fn specifications<const N: usize>(
    params: &Scope<'_>,
    kinds: [Kind; N],
) -> Result<[Tags; N], ApiError> {
    let mut all = kinds.map(|_| Tags::new());
    let mut seen = kinds.map(|_| false);
    for scope in params.items("TagSpecification") {
        let name = scope.required("ResourceType")?;
        let Some(at) = kinds.iter().position(|kind| kind.tag_type() == name) else {
            let message =
                format!("'{name}' is not a valid taggable resource type for this operation.");
            return Err(ApiError::value(message));
        };
        if std::mem::replace(&mut seen[at], true) {
            let message = format!(
                "The resource type '{name}' was specified more than once in TagSpecifications"
            );
            return Err(ApiError::bad("InvalidParameter", message));
        }
        all[at] = read(&scope)?;
        if all[at].is_empty() {
            return Err(ApiError::bad(
                "InvalidParameter",
                "Tag specification must have at least one tag",
            ));
        }
    }
    Ok(all)
}

/// Reads `Tag.N.Key` and `Tag.N.Value`.
fn read(scope: &Scope<'_>) -> Result<Tags, ApiError> {
    let mut tags = Tags::new();
    for tag in scope.items("Tag") {
        let (key, value) = (tag.required("Key")?, tag.text("Value").unwrap_or_default());
        check(key, value)?;
        if tags.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(ApiError::value(format!(
                "Duplicate tag key '{key}' specified."
            )));
        }
    }
    if tags.len() > MAX_TAGS {
        Err(too_many(tags.len()))
    } else {
        Ok(tags)
    }
}

fn check(key: &str, value: &str) -> Result<(), ApiError> {
    if key.to_ascii_lowercase().starts_with("aws:") {
        return Err(ApiError::value(format!(
            "Value ( {key} ) for parameter key is invalid. Tag keys starting with 'aws:' are reserved for internal use"
        )));
    }
    for (what, text, most) in [("key", key, MAX_KEY), ("value", value, MAX_VALUE)] {
        if text.chars().count() > most {
            return Err(ApiError::value(format!(
                "Tag {what} exceeds the maximum length of {most} characters"
            )));
        }
    }
    Ok(())
}

fn too_many(count: usize) -> ApiError {
    ApiError::bad(
        "TagLimitExceeded",
        format!("The number of tags ({count}) exceeds the limit of {MAX_TAGS} per resource"),
    )
}

/// A resource's tags in an answer.
pub(crate) fn set(tags: &Tags) -> impl Iterator<Item = Element> {
    tags.iter()
        .map(|(key, value)| el("item").text("key", key).text("value", value))
}

/// The resources that CreateTags and DeleteTags name. EC2 checks all of them before it changes any.
fn resources(region: &Region, ids: &[&str]) -> Result<(), ApiError> {
    for id in ids {
        match Kind::of_id(id) {
            Some(kind) => {
                kind.check(id)?;
                if !region.exists(kind, id) || kind == Kind::Image {
                    return Err(kind.not_found(id));
                }
            }
            None => {
                return Err(ApiError::bad(
                    "InvalidID",
                    format!("The ID '{id}' is not valid"),
                ));
            }
        }
    }
    Ok(())
}

fn resource_ids<'a>(call: &Call<'a>) -> Result<Vec<&'a str>, ApiError> {
    let ids = call.params.values("ResourceId");
    if ids.is_empty() {
        Err(ApiError::missing("resourceIdSet"))
    } else {
        Ok(ids)
    }
}

pub(crate) fn create(call: &mut Call<'_>) -> Outcome {
    let ids = resource_ids(call)?;
    let tags = read(&call.params)?;
    if tags.is_empty() {
        return Err(ApiError::missing("Tag"));
    }
    let region = call.look()?.region;
    resources(region, &ids)?;
    for id in &ids {
        let now = region.tags(id);
        let count = now.len() + tags.keys().filter(|key| !now.contains_key(*key)).count();
        if count > MAX_TAGS {
            return Err(too_many(count));
        }
    }
    let region = call.change()?.region;
    ids.iter().for_each(|id| region.add_tags(id, &tags));
    Ok(Element::done())
}

pub(crate) fn delete(call: &mut Call<'_>) -> Outcome {
    let ids = resource_ids(call)?;
    // A tag without a value goes whatever its value is; no tags at all means all of them.
    let mut which: Vec<(&str, Option<&str>)> = Vec::new();
    for tag in call.params.items("Tag") {
        which.push((tag.required("Key")?, tag.text("Value")));
    }
    resources(call.look()?.region, &ids)?;
    let region = call.change()?.region;
    for id in &ids {
        region.remove_tags(id, |key, value| {
            which.is_empty()
                || which
                    .iter()
                    .any(|(k, v)| *k == key && v.is_none_or(|v| v == value))
        });
    }
    Ok(Element::done())
}

struct Row {
    resource: String,
    kind: &'static str,
    key: String,
    value: String,
}

const FILTERS: Fields<Row> = &[
    ("key", |row| vec![row.key.clone()]),
    ("value", |row| vec![row.value.clone()]),
    ("resource-id", |row| vec![row.resource.clone()]),
    ("resource-type", |row| vec![row.kind.to_owned()]),
];

pub(crate) fn describe(call: &mut Call<'_>) -> Outcome {
    let filters = Filters::read(&call.params, FILTERS)?;
    let page = Page::read(&call.params, 5, 1000)?;
    let region = call.read()?.region;
    let mut rows = Vec::new();
    for (id, tags) in region.all_tags() {
        let kind = Kind::of_id(id).map(Kind::tag_type).unwrap_or_default();
        rows.extend(tags.iter().map(|(key, value)| Row {
            resource: id.clone(),
            kind,
            key: key.clone(),
            value: value.clone(),
        }));
    }
    // `tag:…` matches a row by its own key and value.
    rows.retain(|row| filters.matches(row, &Tags::from([(row.key.clone(), row.value.clone())])));
    let cut = page.cut(rows, |row| format!("{}\n{}", row.resource, row.key));
    let items = cut.items.into_iter().map(|row| {
        el("item")
            .text("resourceId", row.resource)
            .text("resourceType", row.kind)
            .text("key", row.key)
            .text("value", row.value)
    });
    Ok(Element::answer().list("tagSet", items).next_token(cut.next))
}
