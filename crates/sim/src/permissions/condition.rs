//! The conditions of policy statements ("IAM JSON policy elements: Condition operators").

use serde_json::Value;

use crate::protocol::filter::{Tags, wildcard};

/// What is known about a request when a condition is evaluated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    pub region: &'a str,
    /// The action that creates what is tagged; only while `ec2:CreateTags` is asked for by such an action.
    pub create_action: Option<&'a str>,
    /// Only while `iam:PassRole` is asked for.
    pub passed_to_service: Option<&'a str>,
    /// Only while a role is asked for.
    pub external_id: Option<&'a str>,
    pub request_tags: &'a Tags,
    /// None when there is no such resource, whose tags nobody knows.
    pub resource_tags: Option<&'a Tags>,
}

/// One test of one condition key.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    key: Key,
    test: Test,
}

/// The condition keys that are simulated ("Actions, resources, and condition keys for Amazon EC2").
#[derive(Clone, Debug)]
enum Key {
    Region,
    CreateAction,
    PassedToService,
    ExternalId,
    TagKeys,
    RequestTag(String),
    ResourceTag(String),
}

#[derive(Clone, Debug)]
enum Test {
    /// Whether the key is to be absent.
    Null(bool),
    Compare {
        set: Option<Set>,
        operator: Operator,
        values: Vec<String>,
    },
}

/// "Set operators for multivalued context keys".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Set {
    All,
    Any,
}

#[derive(Clone, Copy, Debug)]
enum Operator {
    Equals,
    NotEquals,
    Like,
    NotLike,
    Bool,
}

impl Operator {
    fn read(name: &str) -> Option<Self> {
        Some(match name {
            "StringEquals" => Self::Equals,
            "StringNotEquals" => Self::NotEquals,
            "StringLike" => Self::Like,
            "StringNotLike" => Self::NotLike,
            "Bool" => Self::Bool,
            _ => return None,
        })
    }

    fn is_negated(self) -> bool {
        matches!(self, Self::NotEquals | Self::NotLike)
    }

    /// Whether a value of the request passes: one of the policy's values fits, or none where it is negated.
    fn passes(self, value: &str, values: &[String]) -> bool {
        let fits = |it: &String| match self {
            Self::Equals | Self::NotEquals => it == value,
            Self::Like | Self::NotLike => wildcard(it, value),
            Self::Bool => it.eq_ignore_ascii_case(value),
        };
        values.iter().any(fits) != self.is_negated()
    }
}

impl Key {
    fn read(name: &str) -> Option<Self> {
        // "Condition key names are not case-sensitive."
        let (prefix, tag) = match name.split_once('/') {
            Some((prefix, tag)) => (prefix.to_ascii_lowercase(), Some(tag)),
            None => (name.to_ascii_lowercase(), None),
        };
        Some(match (prefix.as_str(), tag) {
            ("ec2:region" | "aws:requestedregion", None) => Self::Region,
            ("ec2:createaction", None) => Self::CreateAction,
            ("iam:passedtoservice", None) => Self::PassedToService,
            ("sts:externalid", None) => Self::ExternalId,
            ("aws:tagkeys", None) => Self::TagKeys,
            ("aws:requesttag", Some(tag)) if !tag.is_empty() => Self::RequestTag(tag.to_owned()),
            ("aws:resourcetag" | "ec2:resourcetag", Some(tag)) if !tag.is_empty() => {
                Self::ResourceTag(tag.to_owned())
            }
            _ => return None,
        })
    }

    fn values<'a>(&self, context: &Context<'a>) -> Vec<&'a str> {
        let tagged = |tags: &'a Tags, key: &str| {
            let found = tags.iter().find(|(it, _)| it.eq_ignore_ascii_case(key));
            found.map(|(_, value)| value.as_str())
        };
        let one = match self {
            Self::Region => Some(context.region),
            Self::CreateAction => context.create_action,
            Self::PassedToService => context.passed_to_service,
            Self::ExternalId => context.external_id,
            Self::TagKeys => return context.request_tags.keys().map(String::as_str).collect(),
            Self::RequestTag(key) => tagged(context.request_tags, key),
            Self::ResourceTag(key) => context.resource_tags.and_then(|tags| tagged(tags, key)),
        };
        one.into_iter().collect()
    }
}

impl Condition {
    /// Reads a `Condition` element. The error names the operator or the key.
    pub(super) fn read_all(element: &Value) -> Result<Vec<Self>, String> {
        let operators = element.as_object().ok_or(": must be an object")?;
        let mut conditions = Vec::new();
        for (operator, keys) in operators {
            let keys = keys
                .as_object()
                .ok_or_else(|| format!(".{operator}: must be an object"))?;
            for (name, values) in keys {
                let condition = Self::read(operator, name, values)
                    .map_err(|wrong| format!(".{operator}.{name}: {wrong}"))?;
                conditions.push(condition);
            }
        }
        Ok(conditions)
    }

    fn read(operator: &str, name: &str, values: &Value) -> Result<Self, String> {
        let key = Key::read(name).ok_or("this condition key is not simulated")?;
        let values = match values {
            Value::Array(values) => values.iter().map(text).collect::<Result<_, _>>()?,
            one => vec![text(one)?],
        };
        if operator == "Null" {
            return match &values[..] {
                [one] if one == "true" || one == "false" => Ok(Self {
                    key,
                    test: Test::Null(one == "true"),
                }),
                _ => Err("must be true or false".to_owned()),
            };
        }
        let (set, operator) = match operator.split_once(':') {
            Some(("ForAllValues", operator)) => (Some(Set::All), operator),
            Some(("ForAnyValue", operator)) => (Some(Set::Any), operator),
            _ => (None, operator),
        };
        let operator =
            Operator::read(operator).ok_or("this condition operator is not simulated")?;
        if set.is_none() && matches!(key, Key::TagKeys) {
            return Err("has many values: use ForAllValues: or ForAnyValue:".to_owned());
        }
        Ok(Self {
            key,
            test: Test::Compare {
                set,
                operator,
                values,
            },
        })
    }

    /// Whether it holds; None when that hangs on the tags of a resource that there is not.
    pub(super) fn holds(&self, context: &Context<'_>) -> Option<bool> {
        if matches!(self.key, Key::ResourceTag(_)) && context.resource_tags.is_none() {
            return None;
        }
        let found = self.key.values(context);
        Some(match &self.test {
            Test::Null(absent) => found.is_empty() == *absent,
            Test::Compare {
                set,
                operator,
                values,
            } => {
                let passes = |it: &&str| operator.passes(it, values);
                match set {
                    Some(Set::All) => found.iter().all(passes),
                    Some(Set::Any) => found.iter().any(passes),
                    // "If the key is not present", a comparison does not match, and a negated one does.
                    None if found.is_empty() => operator.is_negated(),
                    None => found.iter().all(passes),
                }
            }
        })
    }
}

/// A condition's value: a string, or what JSON has for true and false.
fn text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) if text.contains("${") => {
            Err(format!("'{text}': policy variables are not simulated"))
        }
        Value::String(text) => Ok(text.clone()),
        Value::Bool(flag) => Ok(flag.to_string()),
        other => Err(format!("{other} is not a string")),
    }
}
