//! Tags on the wire: objects with a name.

pub(crate) mod list;

use domain::cluster::{Invalid, validate_tags};
use serde::Serialize;
use utoipa::ToSchema;

use crate::body::Members;

/// A tag of a node cluster or node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Tag {
    /// The tag itself.
    #[schema(example = "web")]
    pub(crate) name: String,
}

/// A tag that a user gives.
// Only there for the specification: `read` takes the members one by one.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the schema is what it is for")]
pub(crate) struct NewTag {
    /// The tag itself. One that the object got by itself is not given again, however long it is.
    #[schema(example = "web", min_length = 1, max_length = 128)]
    name: String,
}

/// The tags that an object got by itself, then its user's, each once.
pub(crate) fn wire(automatic: Vec<String>, own: Vec<String>) -> Vec<Tag> {
    let mut tags: Vec<Tag> = Vec::with_capacity(automatic.len() + own.len());
    for name in automatic.into_iter().chain(own) {
        if tags.iter().all(|tag| tag.name != name) {
            tags.push(Tag { name });
        }
    }
    tags
}

/// The user's tags in a body; none where the body has no list.
///
/// Clients send back the whole list that they read, so entries may have further members, and the automatic tags are
/// among them: those stay automatic.
pub(crate) fn read(
    body: &mut Members,
    automatic: &[String],
) -> Result<Option<Vec<String>>, Invalid> {
    let Some(entries) = body.objects("tags")? else {
        return Ok(None);
    };
    let mut names = Vec::with_capacity(entries.len());
    for mut entry in entries {
        let name = entry.text("name")?;
        names.push(name.ok_or_else(|| Invalid::new(entry.path_of("name"), "is required"))?);
    }
    validate_tags(names, automatic).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(list: &[&str]) -> Vec<String> {
        list.iter().map(|s| (*s).to_owned()).collect()
    }

    #[test]
    fn automatic_tags_come_first_and_each_tag_once() {
        let tags = wire(strings(&["aws", "web"]), strings(&["web", "a"]));
        let names: Vec<&str> = tags.iter().map(|tag| tag.name.as_str()).collect();
        assert_eq!(names, ["aws", "web", "a"]);
    }
}
