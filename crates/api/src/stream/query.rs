//! The parameters of a stream.

use axum::{extract::Query, http::Uri};
use domain::cluster::Invalid;
use utoipa::openapi::path::Parameter;

use crate::parameter::{self, QueryParameter};

/// The user's name: every stream takes the credentials here, for clients that can't set a header.
pub(crate) const USER: &str = "user";
/// The key that goes with [`USER`].
pub(crate) const TOKEN: &str = "token";

const CREDENTIALS: &[QueryParameter] = &[
    QueryParameter::text(
        USER,
        "The user's name, where there is no Authorization header.",
    ),
    QueryParameter::text(TOKEN, "An API key of that user."),
];

/// The parameters of a stream and the credentials, for the specification.
pub(crate) fn parameters(known: &[QueryParameter]) -> Vec<Parameter> {
    parameter::specified(known.iter().chain(CREDENTIALS))
}

/// What a stream was asked for.
#[derive(Debug)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads a query, in which only these parameters and the credentials may be.
    pub(crate) fn parse(uri: &Uri, known: &[QueryParameter]) -> Result<Self, Invalid> {
        let all = Self::of(uri)?;
        let known = known.iter().chain(CREDENTIALS);
        let names: Vec<&str> = known.map(|parameter| parameter.name).collect();
        match all
            .0
            .iter()
            .find(|(name, _)| !names.contains(&name.as_str()))
        {
            Some((name, _)) => Err(Invalid::new(
                format!("{name:?}"),
                format!(
                    "is no parameter of this stream; it has {}",
                    names.join(", ")
                ),
            )),
            None => Ok(all),
        }
    }

    /// Reads a query, whatever is in it.
    pub(crate) fn of(uri: &Uri) -> Result<Self, Invalid> {
        Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map(|Query(pairs)| Self(pairs))
            .map_err(|error| Invalid::new("query", error.to_string()))
    }

    /// The value of a parameter; of one given twice the last one counts.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let mut pairs = self.0.iter().rev();
        pairs
            .find(|(given, _)| given == name)
            .map(|(_, value)| value.as_str())
    }

    /// The values of a parameter that is a list with commas.
    pub(crate) fn list(&self, name: &str) -> Option<impl Iterator<Item = &str>> {
        self.get(name).map(|value| value.split(',').map(str::trim))
    }

    /// The value of a parameter that is a whole number from 0 on; what is larger than `most` is taken as that.
    pub(crate) fn number(&self, name: &str, most: u32) -> Result<Option<u32>, Invalid> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Invalid::new(
                name,
                format!("{value:?} is not a whole number from 0 on"),
            ));
        }
        Ok(Some(
            value.parse().map_or(most, |number: u32| number.min(most)),
        ))
    }

    /// The value of a parameter that is true or false.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, Invalid> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        // Python writes True, JavaScript true, and others 1.
        match value.to_lowercase().as_str() {
            "true" | "1" => Ok(Some(true)),
            "false" | "0" => Ok(Some(false)),
            _ => Err(Invalid::new(
                name,
                format!("{value:?} is neither true nor false"),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> Result<Parameters, Invalid> {
        Parameters::parse(
            &format!("/?{query}").parse().unwrap(),
            &["tail", "follow", "list"].map(|name| QueryParameter::text(name, "")),
        )
    }

    #[test]
    fn an_unknown_parameter_is_named_beside_the_known_ones() {
        assert_eq!(
            parse("tail=1&tails=2").unwrap_err().to_string(),
            "\"tails\": is no parameter of this stream; it has tail, follow, list, user, token"
        );
    }

    #[test]
    fn what_is_given_twice_counts_in_its_last_form() {
        let given = parse("user=a&token=b&user=c%20d").unwrap();
        assert_eq!(given.get(USER), Some("c d"));
        assert_eq!(given.get("tail"), None);
    }

    #[test]
    fn a_number_is_cut_and_a_malformed_one_refused() {
        let number = |query| parse(query).unwrap().number("tail", 100);
        assert_eq!(number(""), Ok(None));
        assert_eq!(number("tail=0"), Ok(Some(0)));
        assert_eq!(number("tail=007"), Ok(Some(7)));
        assert_eq!(number("tail=101"), Ok(Some(100)));
        assert_eq!(number("tail=99999999999999999999999"), Ok(Some(100)));
        for bad in [
            "tail=",
            "tail=-1",
            "tail=%2B1",
            "tail=1.0",
            "tail=x",
            "tail=all",
        ] {
            assert!(number(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_flag_is_taken_in_any_case_and_nothing_else() {
        let flag = |query| parse(query).unwrap().flag("follow");
        assert_eq!(flag(""), Ok(None));
        for yes in ["follow=true", "follow=True", "follow=TRUE", "follow=1"] {
            assert_eq!(flag(yes), Ok(Some(true)), "{yes}");
        }
        for no in ["follow=false", "follow=False", "follow=0"] {
            assert_eq!(flag(no), Ok(Some(false)), "{no}");
        }
        for bad in ["follow=", "follow=yes", "follow=2", "follow"] {
            assert!(flag(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_list_has_commas() {
        let given = parse("list=a,%20b%2Cc,").unwrap();
        let list: Vec<&str> = given.list("list").unwrap().collect();
        assert_eq!(list, ["a", "b", "c", ""]);
    }
}
