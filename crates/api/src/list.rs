//! Lists: their envelope, their pages and their filters.
//!
//! A list names its filters once, as a constant of [`QueryParameter`]s.

use axum::{Json, extract::Query, http::Uri};
use chrono::{DateTime, Utc};
use domain::cluster::Invalid;
use serde::Serialize;
use store::page::{Listed, Page};
use utoipa::{ToSchema, openapi::path::Parameter};
use uuid::Uuid;

use crate::{
    parameter::{self, QueryParameter},
    path::Asked,
    time,
    uri::{self, NotThatUri},
};

/// How many objects a page has when nothing is said.
const DEFAULT_LIMIT: u32 = 25;
/// How many it has at most; more is taken as so many, as Docker Cloud's framework did.
const MAX_LIMIT: u32 = 1000;

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct List<T> {
    /// Where the page is.
    pub(crate) meta: Meta,
    /// The objects of the page.
    pub(crate) objects: Vec<T>,
}

/// Where a page is in its list.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Meta {
    /// How many objects a page has at most.
    #[schema(example = 25)]
    pub(crate) limit: u32,
    /// The path of the next page, the filters in it; null on the last one.
    #[schema(
        required = true,
        example = "/api/infra/v1/nodecluster/?limit=25&offset=25"
    )]
    pub(crate) next: Option<String>,
    /// How many objects come before this page.
    #[schema(example = 0)]
    pub(crate) offset: u32,
    /// The path of the previous page; null on the first one.
    #[schema(required = true, example = json!(null))]
    pub(crate) previous: Option<String>,
    /// How many objects there are on all pages.
    #[schema(example = 30)]
    pub(crate) total_count: u64,
}

/// The parameters that every list has.
const PAGE: &[QueryParameter] = &[
    QueryParameter::number(
        "limit",
        1,
        "How many objects a page has at most: 25 where nothing is said; more than 1000 is taken as 1000.",
    ),
    QueryParameter::number("offset", 0, "How many objects come before the page."),
];

/// What was asked of a list.
#[derive(Debug)]
pub(crate) struct ListQuery {
    /// The page that is wanted.
    pub(crate) page: Page,
    /// In the order in which they were given.
    filters: Vec<(String, String)>,
}

impl ListQuery {
    /// Reads a query; of a parameter given twice the last one counts.
    pub(crate) fn parse(uri: &Uri, known: &[QueryParameter]) -> Result<Self, Invalid> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|error| Invalid::new("query", error.to_string()))?;
        let mut query = Self {
            page: Page {
                limit: DEFAULT_LIMIT,
                offset: 0,
            },
            filters: Vec::new(),
        };
        for (name, value) in pairs {
            match name.as_str() {
                "limit" => {
                    let limit = number("limit", &value)?;
                    if limit == 0 {
                        return Err(Invalid::new("limit", "must be at least 1"));
                    }
                    query.page.limit = limit.min(MAX_LIMIT);
                }
                "offset" => query.page.offset = number("offset", &value)?,
                _ if known.iter().any(|filter| filter.name == name) => {
                    if value.contains('\0') {
                        return Err(Invalid::new(name, "may not contain the character U+0000"));
                    }
                    query.filters.retain(|(given, _)| *given != name);
                    query.filters.push((name, value));
                }
                _ => {
                    let all = known.iter().chain(PAGE);
                    let names: Vec<&str> = all.map(|parameter| parameter.name).collect();
                    return Err(Invalid::new(
                        format!("{name:?}"),
                        format!("is no filter of this list; it has {}", names.join(", ")),
                    ));
                }
            }
        }
        Ok(query)
    }

    /// The value of a filter.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.filters
            .iter()
            .find(|(given, _)| given == name)
            .map(|(_, value)| value.as_str())
    }

    /// The value of a filter, owned.
    pub(crate) fn owned(&self, name: &str) -> Option<String> {
        self.text(name).map(str::to_owned)
    }

    /// The beginning of a uuid. What can't begin one begins none, so it finds nothing.
    pub(crate) fn prefix(&self, name: &str) -> Option<String> {
        self.text(name).map(str::to_lowercase)
    }

    /// The value of a filter that is a uuid.
    pub(crate) fn uuid(&self, name: &str) -> Result<Option<Uuid>, Invalid> {
        self.text(name)
            .map(|value| {
                uri::parse_uuid(value)
                    .ok_or_else(|| Invalid::new(name, format!("{value:?} is not a uuid")))
            })
            .transpose()
    }

    /// The value of a filter that is a time: as the wire writes it, or as ISO 8601 has it.
    pub(crate) fn time(&self, name: &str) -> Result<Option<DateTime<Utc>>, Invalid> {
        self.text(name)
            .map(|value| {
                time::parse(value).ok_or_else(|| {
                    Invalid::new(
                        name,
                        format!(
                            "{value:?} is not a time like \"Tue, 16 Sep 2014 17:01:15 +0000\" or \"2014-09-16T17:01:15Z\""
                        ),
                    )
                })
            })
            .transpose()
    }

    /// The value of a filter that is `true` or `false`; false where nothing is said.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Invalid> {
        match self.text(name).map(str::to_lowercase).as_deref() {
            Some("true") => Ok(true),
            Some("false") | None => Ok(false),
            Some(other) => Err(Invalid::new(
                name,
                format!("{other:?} is neither true nor false"),
            )),
        }
    }

    /// The value of a filter that is a URI, as `parse` reads it.
    pub(crate) fn uri<T>(
        &self,
        name: &str,
        parse: fn(&str) -> Result<T, NotThatUri>,
    ) -> Result<Option<T>, Invalid> {
        self.text(name)
            .map(|value| parse(value).map_err(|reason| Invalid::new(name, reason)))
            .transpose()
    }

    /// Cuts the page out of a whole list.
    pub(crate) fn cut<T>(&self, all: Vec<T>) -> Listed<T> {
        let total = all.len() as u64;
        let items = all
            .into_iter()
            .skip(self.page.offset as usize)
            .take(self.page.limit as usize)
            .collect();
        Listed { items, total }
    }

    /// Puts the page into its envelope.
    pub(crate) fn answer<T, W>(
        &self,
        asked: &Asked,
        listed: Listed<T>,
        wire: impl FnMut(T) -> W,
    ) -> Json<List<W>> {
        Json(List {
            meta: self.meta(&asked.again(), listed.total),
            objects: listed.items.into_iter().map(wire).collect(),
        })
    }

    fn meta(&self, path: &str, total_count: u64) -> Meta {
        let Page { limit, offset } = self.page;
        let next = offset
            .checked_add(limit)
            .filter(|next| u64::from(*next) < total_count)
            .map(|next| self.link(path, next));
        let previous = (offset > 0).then(|| self.link(path, offset.saturating_sub(limit)));
        Meta {
            limit,
            next,
            offset,
            previous,
            total_count,
        }
    }

    fn link(&self, path: &str, offset: u32) -> String {
        let mut link = format!("{path}?");
        for (name, value) in &self.filters {
            link.push_str(name);
            link.push('=');
            encode(&mut link, value);
            link.push('&');
        }
        link.push_str(&format!("limit={}&offset={offset}", self.page.limit));
        link
    }
}

/// A number of any size; what is larger than any list is as good as the largest.
fn number(name: &str, value: &str) -> Result<u32, Invalid> {
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Invalid::new(
            name,
            format!("{value:?} is not a whole number from 0 on"),
        ));
    }
    Ok(value.parse().unwrap_or(u32::MAX))
}

/// Writes a value so that it survives in a query (RFC 3986, "Unreserved Characters", and the slash).
fn encode(link: &mut String, value: &str) {
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                link.push(char::from(byte));
            }
            _ => link.push_str(&format!("%{byte:02X}")),
        }
    }
}

/// The filters of a list and those of its page, for the specification.
pub(crate) fn parameters(filters: &[QueryParameter]) -> Vec<Parameter> {
    parameter::specified(filters.iter().chain(PAGE))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILTERS: &[QueryParameter] = &[
        QueryParameter::text("name", ""),
        QueryParameter::uuid("uuid", ""),
        QueryParameter::text("region", ""),
    ];

    fn parse(query: &str) -> Result<ListQuery, Invalid> {
        ListQuery::parse(&format!("/?{query}").parse().unwrap(), FILTERS)
    }

    fn refusal(query: &str) -> String {
        parse(query).unwrap_err().to_string()
    }

    #[test]
    fn a_page_has_25_objects_where_nothing_is_said_and_at_most_1000() {
        let page = |query| {
            let page = parse(query).unwrap().page;
            (page.limit, page.offset)
        };
        assert_eq!(page(""), (25, 0));
        assert_eq!(page("limit=2&offset=4"), (2, 4));
        assert_eq!(page("limit=1001"), (1000, 0));
        assert_eq!(page("limit=99999999999999999999999"), (1000, 0));
        assert_eq!(page("offset=99999999999999999999999"), (25, u32::MAX));
    }

    #[test]
    fn what_can_not_be_taken_is_named() {
        assert_eq!(refusal("limit=0"), "limit: must be at least 1");
        for bad in ["limit=x", "limit=", "limit=-1", "offset=1.5", "offset=%201"] {
            let name = bad.split_once('=').unwrap().0;
            assert!(refusal(bad).starts_with(name), "{bad}");
        }
        assert_eq!(
            refusal("flavor=x"),
            "\"flavor\": is no filter of this list; it has name, uuid, region, limit, offset"
        );
        assert!(refusal("name=a%00b").starts_with("name: "));
        let query = parse("uuid=1").unwrap();
        assert!(query.uuid("uuid").is_err());
        let query = parse("region=a/b/c").unwrap();
        assert!(query.uri("region", uri::parse_region).is_err());
    }

    #[test]
    fn bytes_that_are_no_text_find_nothing() {
        assert_eq!(
            parse("name=%ff%fe").unwrap().text("name"),
            Some("\u{fffd}\u{fffd}")
        );
    }

    #[test]
    fn next_and_previous_are_paths_that_carry_the_filters() {
        let query = parse("name=a%26b+c&limit=10&offset=10&region=/api/x/").unwrap();
        let path = "/api/infra/v1/dev/nodecluster/";
        let filters = "name=a%26b%20c&region=/api/x/&limit=10";
        assert_eq!(
            query.meta(path, 25),
            Meta {
                limit: 10,
                next: Some(format!("{path}?{filters}&offset=20")),
                offset: 10,
                previous: Some(format!("{path}?{filters}&offset=0")),
                total_count: 25,
            }
        );
        let next = query.meta(path, 25).next.unwrap();
        let again = ListQuery::parse(&next.parse().unwrap(), FILTERS).unwrap();
        assert_eq!(again.text("name"), Some("a&b c"));
        assert_eq!(again.page.offset, 20);
    }

    #[test]
    fn the_first_page_has_no_previous_and_the_last_no_next() {
        let whole = parse("").unwrap().meta("/api/", 25);
        assert_eq!((whole.next, whole.previous), (None, None));
        let behind = parse("offset=4294967295").unwrap().meta("/api/", 25);
        assert_eq!(behind.next, None);
        assert!(behind.previous.is_some());
    }

    #[test]
    fn a_page_is_cut_out_of_a_whole_list() {
        let cut = parse("limit=2&offset=3")
            .unwrap()
            .cut(vec![0, 1, 2, 3, 4, 5]);
        assert_eq!((cut.items, cut.total), (vec![3, 4], 6));
        let behind = parse("offset=9").unwrap().cut(vec![0]);
        assert_eq!((behind.items, behind.total), (vec![], 1));
    }
}
