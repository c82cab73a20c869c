//! The bodies of requests, read as leniently as the original clients need it.
//!
//! The Content-Type is not looked at, an empty body is `{}`, null is absent, unknown members are ignored, a number may
//! come as a string of digits. What can't be taken is refused with the path of its member.

use axum::{
    body::Body,
    extract::{FromRequest, Request},
    http::header::CONTENT_LENGTH,
};
use domain::cluster::Invalid;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::{Map, Value};

use crate::error::ApiError;

/// The largest body that is read.
pub(crate) const LIMIT_BYTES: usize = 1024 * 1024;
/// How much of a wrong value an error repeats.
const QUOTED_CHARACTERS: usize = 80;

/// A body: its text as it came, and its members.
#[derive(Debug)]
pub(crate) struct JsonBody {
    /// As it came; what an action records.
    pub(crate) text: String,
    /// What it says.
    pub(crate) members: Members,
}

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let announced = request
            .headers()
            .get(CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok())
            .and_then(|length| length.parse::<u64>().ok());
        if announced.is_some_and(|length| length > LIMIT_BYTES as u64) {
            return Err(ApiError::TooLarge { limit: LIMIT_BYTES });
        }
        let bytes = read(request.into_body()).await?;
        Self::parse(&bytes).map_err(ApiError::Invalid)
    }
}

async fn read(body: Body) -> Result<Vec<u8>, ApiError> {
    match Limited::new(body, LIMIT_BYTES).collect().await {
        Ok(collected) => Ok(collected.to_bytes().to_vec()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(ApiError::TooLarge { limit: LIMIT_BYTES })
        }
        Err(error) => Err(ApiError::Invalid(format!(
            "the body could not be read to its end: {error}"
        ))),
    }
}

impl JsonBody {
    /// Reads a body of JSON, or an empty one.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes)
            .map_err(|error| format!("the body is not JSON: it is not UTF-8: {error}"))?;
        let value = if text.trim().is_empty() {
            Value::Null
        } else {
            serde_json::from_str(text).map_err(|error| format!("the body is not JSON: {error}"))?
        };
        let members = match value {
            Value::Object(members) => members,
            Value::Null => Map::new(),
            other => {
                // Its kind alone: a body may be a secret as a whole.
                return Err(format!(
                    "the body must be a JSON object, not {}",
                    kind(&other)
                ));
            }
        };
        Ok(Self {
            text: text.to_owned(),
            members: Members {
                path: String::new(),
                members,
            },
        })
    }
}

/// The members of an object in the body, to be taken one by one.
#[derive(Debug, Default)]
pub(crate) struct Members {
    /// Where the object is; empty for the body itself.
    path: String,
    members: Map<String, Value>,
}

impl Members {
    /// The path of a member, dotted.
    pub(crate) fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    /// A text.
    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>, Invalid> {
        let path = self.path_of(name);
        self.take(name).map(|value| text(&path, value)).transpose()
    }

    /// A whole number; a string of digits is one, as the original command line sends it.
    pub(crate) fn integer(&mut self, name: &str) -> Result<Option<i64>, Invalid> {
        let path = self.path_of(name);
        self.take(name)
            .map(|value| integer(&path, &value))
            .transpose()
    }

    /// The members of an object; an absent one has none.
    pub(crate) fn object(&mut self, name: &str) -> Result<Self, Invalid> {
        let path = self.path_of(name);
        match self.take(name) {
            Some(value) => object(path, value),
            None => Ok(Self {
                path,
                members: Map::new(),
            }),
        }
    }

    /// An object, where there is one.
    pub(crate) fn optional_object(&mut self, name: &str) -> Result<Option<Self>, Invalid> {
        let path = self.path_of(name);
        self.take(name).map(|value| object(path, value)).transpose()
    }

    /// A list of texts without the empty ones; an absent list is empty.
    pub(crate) fn texts(&mut self, name: &str) -> Result<Vec<String>, Invalid> {
        let mut texts = Vec::new();
        for (path, value) in self.list(name)?.unwrap_or_default() {
            if !value.is_null() {
                texts.push(text(&path, value)?);
            }
        }
        texts.retain(|text| !text.is_empty());
        Ok(texts)
    }

    /// A list of objects.
    pub(crate) fn objects(&mut self, name: &str) -> Result<Option<Vec<Self>>, Invalid> {
        self.list(name)?
            .map(|list| {
                list.into_iter()
                    .map(|(path, value)| object(path, value))
                    .collect()
            })
            .transpose()
    }

    fn list(&mut self, name: &str) -> Result<Option<Vec<(String, Value)>>, Invalid> {
        let path = self.path_of(name);
        match self.take(name) {
            Some(Value::Array(values)) => Ok(Some(
                values
                    .into_iter()
                    .enumerate()
                    .map(|(at, value)| (format!("{path}[{at}]"), value))
                    .collect(),
            )),
            Some(other) => Err(wrong(path, &other, "a list")),
            None => Ok(None),
        }
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.members.remove(name).filter(|value| !value.is_null())
    }
}

fn text(path: &str, value: Value) -> Result<String, Invalid> {
    match value {
        // Postgres' text has no place for it.
        Value::String(text) if text.contains('\0') => {
            Err(Invalid::new(path, "may not contain the character U+0000"))
        }
        Value::String(text) => Ok(text),
        other => Err(wrong(path, &other, "a text")),
    }
}

fn integer(path: &str, value: &Value) -> Result<i64, Invalid> {
    let number = match value {
        // JSON has one kind of numbers: 3.0 is 3.
        Value::Number(number) => number.as_i64().or_else(|| whole(number.as_f64()?)),
        Value::String(digits) => digits.trim().parse().ok(),
        _ => None,
    };
    number.ok_or_else(|| wrong(path, value, "a whole number of a reasonable size"))
}

/// The whole number that a float is, if it is one and small enough to be exact.
fn whole(float: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let is_whole = float.fract() == 0.0 && float.abs() <= EXACT;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a whole float up to 2^53 is an i64"
    )]
    is_whole.then_some(float as i64)
}

fn object(path: String, value: Value) -> Result<Members, Invalid> {
    match value {
        Value::Object(members) => Ok(Members { path, members }),
        other => Err(wrong(path, &other, "an object")),
    }
}

fn wrong(path: impl Into<String>, value: &Value, expected: &str) -> Invalid {
    Invalid::new(path, format!("{} is not {expected}", quote(value)))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn quote(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(QUOTED_CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(text: &str) -> Members {
        JsonBody::parse(text.as_bytes()).unwrap().members
    }

    fn refusal(text: &[u8]) -> String {
        JsonBody::parse(text).unwrap_err()
    }

    #[test]
    fn an_empty_body_is_an_empty_object() {
        for text in ["", " \n", "{}", "null"] {
            assert_eq!(members(text).text("name"), Ok(None), "{text:?}");
        }
    }

    #[test]
    fn broken_json_is_refused_with_the_place() {
        assert!(refusal(b"{\"name\": }").contains("line 1 column 10"));
        assert!(refusal(b"{\"a\": \xff}").contains("UTF-8"));
        for (body, kind) in [
            ("[1]", "a list"),
            ("\"s3cr3t\"", "a text"),
            ("1", "a number"),
        ] {
            let words = format!("the body must be a JSON object, not {kind}");
            assert_eq!(refusal(body.as_bytes()), words);
        }
        assert!(refusal(b"{\"a\": \"\\ud800\"}").contains("not JSON"));
        let deep = "[".repeat(100_000);
        assert!(refusal(format!("{{\"a\":{deep}").as_bytes()).contains("recursion"));
    }

    #[test]
    fn null_is_absent_and_unknown_members_are_ignored() {
        let mut body = members(r#"{"name": null, "other": [1], "tags": null}"#);
        assert_eq!(body.text("name"), Ok(None));
        assert!(body.objects("tags").unwrap().is_none());
        assert_eq!(body.object("vpc").unwrap().text("id"), Ok(None));
    }

    #[test]
    fn a_number_may_be_a_string_of_digits() {
        for (value, expected) in [
            ("80", 80),
            ("80.0", 80),
            ("8e1", 80),
            ("\"80\"", 80),
            ("\" -3 \"", -3),
        ] {
            let mut body = members(&format!("{{\"disk\": {value}}}"));
            assert_eq!(body.integer("disk"), Ok(Some(expected)), "{value}");
        }
        for value in [
            "\"8o\"",
            "3.5",
            "1e300",
            "\"3.0\"",
            "true",
            "[]",
            "99999999999999999999",
            "\"\"",
        ] {
            let mut body = members(&format!("{{\"disk\": {value}}}"));
            let message = body.integer("disk").unwrap_err().to_string();
            assert!(message.starts_with("disk: "), "{message}");
            assert!(message.contains("whole number"), "{message}");
        }
    }

    #[test]
    fn a_wrong_type_is_named_by_its_path() {
        let mut body =
            members(r#"{"tags": [{"name": 3}], "provider_options": {"vpc": {"subnets": [[]]}}}"#);
        let mut tags = body.objects("tags").unwrap().unwrap();
        assert_eq!(
            tags[0].text("name").unwrap_err().to_string(),
            "tags[0].name: 3 is not a text"
        );
        let mut vpc = body
            .object("provider_options")
            .unwrap()
            .object("vpc")
            .unwrap();
        assert_eq!(
            vpc.texts("subnets").unwrap_err().to_string(),
            "provider_options.vpc.subnets[0]: [] is not a text"
        );
        assert!(members(r#"{"vpc": []}"#).object("vpc").is_err());
        assert!(members(r#"{"tags": {}}"#).objects("tags").is_err());
    }

    #[test]
    fn what_postgres_can_not_hold_is_refused() {
        let mut body = members(r#"{"nickname": "a\u0000b"}"#);
        assert!(body.text("nickname").is_err());
    }

    #[test]
    fn a_long_wrong_value_is_shortened_between_characters() {
        let long = format!("{{\"disk\": \"{}\"}}", "ä".repeat(500));
        let message = members(&long).integer("disk").unwrap_err().to_string();
        assert!(message.len() < 300, "{message}");
    }
}
