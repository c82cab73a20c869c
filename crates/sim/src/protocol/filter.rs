//! `Filter.N.Name` and `Filter.N.Value.M`: every filter must match, and for each of them any of its values.

use std::collections::BTreeMap;

use super::{ApiError, Scope};

/// A resource's tags.
pub(crate) type Tags = BTreeMap<String, String>;

/// The filters that a describe action knows, each with how to read the values from a resource.
pub(crate) type Fields<T> = &'static [(&'static str, fn(&T) -> Vec<String>)];

/// The filters of a request, checked against the fields of the resource.
pub(crate) struct Filters<T: 'static> {
    filters: Vec<Filter<T>>,
}

struct Filter<T> {
    values: Vec<String>,
    field: Field<T>,
}

enum Field<T> {
    Read(fn(&T) -> Vec<String>),
    Tag(String),
    TagKey,
}

/// EC2's limit on the values of one filter.
const MAX_VALUES: usize = 200;

impl<T: 'static> Filters<T> {
    pub(crate) fn read(params: &Scope<'_>, fields: Fields<T>) -> Result<Self, ApiError> {
        let filters = params
            .items("Filter")
            .iter()
            .map(|scope| Filter::read(scope, fields))
            .collect::<Result<_, _>>()?;
        Ok(Self { filters })
    }

    pub(crate) fn matches(&self, resource: &T, tags: &Tags) -> bool {
        self.filters.iter().all(|filter| {
            let found = match &filter.field {
                Field::Read(read) => read(resource),
                Field::Tag(key) => tags.get(key).cloned().into_iter().collect(),
                Field::TagKey => tags.keys().cloned().collect(),
            };
            found
                .iter()
                .any(|value| filter.values.iter().any(|pattern| wildcard(pattern, value)))
        })
    }
}

impl<T> Filter<T> {
    fn read(scope: &Scope<'_>, fields: Fields<T>) -> Result<Self, ApiError> {
        let name = scope.required("Name")?;
        let values: Vec<String> = scope
            .values("Value")
            .into_iter()
            .map(str::to_owned)
            .collect();
        let field = match (
            name.strip_prefix("tag:"),
            fields.iter().find(|(known, _)| *known == name),
        ) {
            (_, Some((_, read))) => Field::Read(*read),
            (Some(key), None) if !key.is_empty() => Field::Tag(key.to_owned()),
            (None, None) if name == "tag-key" => Field::TagKey,
            _ => return Err(ApiError::value(format!("The filter '{name}' is invalid"))),
        };
        if values.is_empty() {
            return Err(ApiError::value(format!(
                "The filter '{name}' has no values"
            )));
        }
        if values.len() > MAX_VALUES {
            let message = format!(
                "The maximum number of filter values specified on a single call is {MAX_VALUES}"
            );
            return Err(ApiError::bad("FilterLimitExceeded", message));
        }
        Ok(Self { values, field })
    }
}

/// EC2's wildcards: `*` for any text, `?` for one character, a backslash before either for itself.
pub(crate) fn wildcard(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Where to resume when the text after the last star did not match: that star and how far it has reached.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        let (matched, width) = match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
                continue;
            }
            Some('?') => (true, 1),
            Some('\\') if p + 1 < pattern.len() => (pattern[p + 1] == text[t], 2),
            Some(c) => (*c == text[t], 1),
            None => (false, 0),
        };
        if matched {
            (p, t) = (p + width, t + 1);
        } else if let Some((at, reached)) = star {
            star = Some((at, reached + 1));
            (p, t) = (at + 1, reached + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Params;

    #[test]
    fn wildcards_match_as_ec2_documents() {
        for (pattern, text, expected) in [
            (
                "ubuntu/*/ubuntu-*-server-*",
                "ubuntu/images/ubuntu-noble-server-1",
                true,
            ),
            ("t3.*", "t3.micro", true),
            ("t3.*", "t3a.micro", false),
            ("t?.micro", "t3.micro", true),
            ("*", "", true),
            ("", "x", false),
            ("\\*amazon\\?\\\\", "*amazon?\\", true),
            ("a*b*c", "aXbXbc", true),
            ("a*b*c", "aXbXb", false),
        ] {
            assert_eq!(wildcard(pattern, text), expected, "{pattern} {text}");
        }
    }

    const FIELDS: Fields<&'static str> = &[("name", |it| vec![(*it).to_owned()])];

    fn filters(pairs: &[(&str, &str)]) -> Result<Filters<&'static str>, ApiError> {
        let params = Params::new(
            pairs
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned())),
        );
        Filters::read(&params.root(), FIELDS)
    }

    #[test]
    fn an_unknown_filter_is_invalid() {
        let error = filters(&[("Filter.1.Name", "color"), ("Filter.1.Value.1", "x")])
            .err()
            .unwrap();
        assert_eq!(error.message, "The filter 'color' is invalid");
    }

    #[test]
    fn all_filters_and_any_value_must_match() {
        let f = filters(&[
            ("Filter.1.Name", "name"),
            ("Filter.1.Value.1", "a"),
            ("Filter.1.Value.2", "b"),
            ("Filter.2.Name", "tag:k"),
            ("Filter.2.Value.1", "v*"),
        ])
        .unwrap();
        let tags = Tags::from([("k".to_owned(), "v1".to_owned())]);
        assert!(f.matches(&"b", &tags));
        assert!(!f.matches(&"c", &tags));
        assert!(!f.matches(&"b", &Tags::new()));
    }
}
