//! The parameters of a request, and the memory of which of them were read.
//!
//! An action declares what it understands by reading it. What nobody read is an error before the action has any effect
//! ([`Params::finish`]), so a client that sends a misspelt or unsupported parameter is told, where EC2 would sometimes
//! ignore it.

use std::cell::Cell;
use std::collections::BTreeSet;

use super::ApiError;

/// All parameters of one request, in the order in which they came.
#[derive(Debug)]
pub(crate) struct Params {
    pairs: Vec<(String, String, Cell<bool>)>,
}

/// A view on the parameters below one prefix: `Filter.1.Name` is `Name` in the scope `Filter.1`.
#[derive(Clone, Debug)]
pub(crate) struct Scope<'a> {
    params: &'a Params,
    prefix: String,
}

impl Params {
    pub(crate) fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self {
            pairs: pairs
                .into_iter()
                .map(|(key, value)| (key, value, Cell::new(false)))
                .collect(),
        }
    }

    pub(crate) fn root(&self) -> Scope<'_> {
        Scope {
            params: self,
            prefix: String::new(),
        }
    }

    /// Refuses the first parameter that nobody read.
    pub(crate) fn finish(&self) -> Result<(), ApiError> {
        match self.pairs.iter().find(|(_, _, read)| !read.get()) {
            None => Ok(()),
            Some((key, _, _)) => Err(ApiError::bad(
                "UnknownParameter",
                format!("The parameter {key} is not recognized"),
            )),
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        let (_, value, read) = self.pairs.iter().find(|(key, _, _)| key == name)?;
        read.set(true);
        Some(value)
    }
}

impl<'a> Scope<'a> {
    /// The full name of a parameter in this scope, for error sentences.
    pub(crate) fn path(&self, name: &str) -> String {
        if self.prefix.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.prefix)
        }
    }

    pub(crate) fn text(&self, name: &str) -> Option<&'a str> {
        self.params.get(&self.path(name))
    }

    pub(crate) fn required(&self, name: &str) -> Result<&'a str, ApiError> {
        match self.text(name) {
            Some(value) if !value.is_empty() => Ok(value),
            _ => Err(ApiError::missing(&self.path(name))),
        }
    }

    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.text(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => Err(ApiError::value(format!(
                "Invalid value '{other}' for {}. Expected one of: true, false",
                self.path(name)
            ))),
        }
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(value) = self.text(name) else {
            return Ok(None);
        };
        value.parse().map(Some).map_err(|_| {
            ApiError::value(format!(
                "Invalid value '{value}' for {}. Must be an integer",
                self.path(name)
            ))
        })
    }

    pub(crate) fn required_number(&self, name: &str) -> Result<i64, ApiError> {
        self.number(name)?
            .ok_or_else(|| ApiError::missing(&self.path(name)))
    }

    /// One of the given words; AWS's enumerations are case sensitive.
    pub(crate) fn word(
        &self,
        name: &str,
        words: &[&'static str],
    ) -> Result<Option<&'static str>, ApiError> {
        let Some(value) = self.text(name) else {
            return Ok(None);
        };
        match words.iter().find(|word| **word == value) {
            Some(word) => Ok(Some(word)),
            None => Err(ApiError::invalid(&self.path(name), value)),
        }
    }

    /// The values of `name.1`, `name.2`, … in the order of their numbers.
    pub(crate) fn values(&self, name: &str) -> Vec<&'a str> {
        let base = self.path(name);
        let text = |number| self.params.get(&format!("{base}.{number}"));
        self.numbers(name).into_iter().filter_map(text).collect()
    }

    /// The structures `name.1`, `name.2`, …
    pub(crate) fn items(&self, name: &str) -> Vec<Scope<'a>> {
        let base = self.path(name);
        let scope = |number| Scope {
            params: self.params,
            prefix: format!("{base}.{number}"),
        };
        self.numbers(name).into_iter().map(scope).collect()
    }

    /// The structure `name`, when any of its members was sent.
    pub(crate) fn structure(&self, name: &str) -> Option<Scope<'a>> {
        let prefix = self.path(name);
        let below = |key: &str| {
            key.strip_prefix(prefix.as_str())
                .is_some_and(|rest| rest.starts_with('.'))
        };
        let any = self.params.pairs.iter().any(|(key, _, _)| below(key));
        any.then_some(Scope {
            params: self.params,
            prefix,
        })
    }

    /// The canonical text of all parameters except these, for comparing two requests. Values keep their order by name.
    pub(crate) fn fingerprint(&self, except: &[&str]) -> String {
        let kept = |key: &str| !except.contains(&key);
        let pairs = self.params.pairs.iter().filter(|(key, _, _)| kept(key));
        let sorted: BTreeSet<(&str, &str)> = pairs
            .map(|(key, value, _)| (key.as_str(), value.as_str()))
            .collect();
        sorted
            .into_iter()
            .map(|(key, value)| format!("{}:{key}={}:{value}\n", key.len(), value.len()))
            .collect()
    }

    fn numbers(&self, name: &str) -> BTreeSet<u32> {
        let prefix = format!("{}.", self.path(name));
        let number = |key: &str| {
            let digits = key.strip_prefix(prefix.as_str())?.split('.').next()?;
            // `01` or `+1` would not be found again under the number that they parse to.
            if digits.starts_with(['0', '+']) {
                None
            } else {
                digits.parse().ok()
            }
        };
        self.params
            .pairs
            .iter()
            .filter_map(|(key, _, _)| number(key))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(pairs: &[(&str, &str)]) -> Params {
        Params::new(
            pairs
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned())),
        )
    }

    #[test]
    fn an_unread_parameter_is_not_recognized() {
        let p = params(&[("VpcId", "vpc-1"), ("Vpcid", "vpc-1")]);
        assert_eq!(p.root().text("VpcId"), Some("vpc-1"));
        assert_eq!(
            p.finish().unwrap_err().message,
            "The parameter Vpcid is not recognized"
        );
    }

    #[test]
    fn lists_come_in_the_order_of_their_numbers() {
        let p = params(&[
            ("A.10", "c"),
            ("A.2", "b"),
            ("A.1", "a"),
            ("A.01", "x"),
            ("A.x", "y"),
        ]);
        assert_eq!(p.root().values("A"), ["a", "b", "c"]);
        assert!(p.finish().is_err());
    }

    #[test]
    fn structures_nest() {
        let p = params(&[("F.1.Name", "n"), ("F.1.Value.1", "v")]);
        let root = p.root();
        let item = &root.items("F")[0];
        assert_eq!(
            (item.text("Name"), item.values("Value")),
            (Some("n"), vec!["v"])
        );
        assert!(p.finish().is_ok());
        assert!(root.structure("G").is_none());
    }

    #[test]
    fn a_fingerprint_does_not_depend_on_order_and_leaves_the_exceptions_out() {
        let a = params(&[("A", "1"), ("B", "2"), ("ClientToken", "t")]);
        let b = params(&[("B", "2"), ("A", "1"), ("ClientToken", "u")]);
        assert_eq!(
            a.root().fingerprint(&["ClientToken"]),
            b.root().fingerprint(&["ClientToken"])
        );
        assert_ne!(a.root().fingerprint(&[]), b.root().fingerprint(&[]));
    }
}
