//! Identity-based policy documents ("IAM JSON policy reference") and what they say about a request ("Policy evaluation
//! logic"): an explicit deny wins, then an allow; otherwise the request is denied implicitly.
//!
//! A document that has anything that is not simulated is refused when it is set, so nothing in it is ever ignored.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::condition::{Condition, Context};
use crate::protocol::filter::wildcard;

/// A policy document.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    statements: Vec<Statement>,
}

#[derive(Clone, Debug)]
struct Statement {
    effect: Effect,
    actions: Patterns,
    resources: Patterns,
    conditions: Vec<Condition>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Allow,
    Deny,
}

/// `Action` or `NotAction`, `Resource` or `NotResource`.
#[derive(Clone, Debug)]
struct Patterns {
    negated: bool,
    patterns: Vec<String>,
}

/// What the policies of a caller say about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Allow,
    ImplicitDeny,
    ExplicitDeny,
}

impl Policy {
    /// Reads a document. The error names the place.
    pub(crate) fn read(document: &Value) -> Result<Self, String> {
        let document = object(document).map_err(|wrong| format!("the policy {wrong}"))?;
        known(document, &["Version", "Id", "Statement"])?;
        match document.get("Version").map(Value::as_str) {
            None | Some(Some("2012-10-17" | "2008-10-17")) => {}
            Some(_) => return Err("Version: must be \"2012-10-17\"".to_owned()),
        }
        if document.get("Id").is_some_and(|id| !id.is_string()) {
            return Err("Id: must be a string".to_owned());
        }
        let statements = match document.get("Statement") {
            Some(Value::Array(all)) if !all.is_empty() => all.iter().collect(),
            Some(one @ Value::Object(_)) => vec![one],
            _ => return Err("Statement: must be a list of statements".to_owned()),
        };
        let mut sids = BTreeSet::new();
        let mut read = Vec::new();
        for (at, statement) in statements.into_iter().enumerate() {
            let place = |wrong: String| {
                let dot = if wrong.starts_with([':', '.']) {
                    ""
                } else {
                    "."
                };
                format!("Statement[{at}]{dot}{wrong}")
            };
            read.push(Statement::read(statement).map_err(place)?);
            if let Some(sid) = statement.get("Sid")
                && !sids.insert(sid.to_string())
            {
                return Err(place(
                    "Sid: is the Sid of another statement as well".to_owned(),
                ));
            }
        }
        Ok(Self { statements: read })
    }

    /// What it says about an action on a resource, which is an ARN or, for actions that are about none, `*`.
    pub(super) fn decide(&self, action: &str, resource: &str, context: &Context<'_>) -> Decision {
        let applies = |effect| {
            let statements = self.statements.iter().filter(move |it| it.effect == effect);
            statements
                .into_iter()
                .any(|it| it.applies(action, resource, context))
        };
        if applies(Effect::Deny) {
            Decision::ExplicitDeny
        } else if applies(Effect::Allow) {
            Decision::Allow
        } else {
            Decision::ImplicitDeny
        }
    }
}

/// What several policies say together.
pub(super) fn decide_all(
    policies: &[Policy],
    action: &str,
    resource: &str,
    context: &Context<'_>,
) -> Decision {
    let decisions: Vec<_> = policies
        .iter()
        .map(|it| it.decide(action, resource, context))
        .collect();
    let found = |decision| decisions.contains(&decision).then_some(decision);
    found(Decision::ExplicitDeny)
        .or_else(|| found(Decision::Allow))
        .unwrap_or(Decision::ImplicitDeny)
}

impl Statement {
    fn read(statement: &Value) -> Result<Self, String> {
        let statement = object(statement).map_err(|wrong| format!(": {wrong}"))?;
        let fields = [
            "Sid",
            "Effect",
            "Action",
            "NotAction",
            "Resource",
            "NotResource",
            "Condition",
        ];
        known(statement, &fields)?;
        if let Some(sid) = statement.get("Sid") {
            let plain = |sid: &str| sid.bytes().all(|b| b.is_ascii_alphanumeric());
            if !sid.as_str().is_some_and(plain) {
                return Err("Sid: must be letters and digits".to_owned());
            }
        }
        let effect = match statement.get("Effect").and_then(Value::as_str) {
            Some("Allow") => Effect::Allow,
            Some("Deny") => Effect::Deny,
            _ => return Err("Effect: must be \"Allow\" or \"Deny\"".to_owned()),
        };
        let conditions = match statement.get("Condition") {
            None => Vec::new(),
            Some(element) => {
                Condition::read_all(element).map_err(|wrong| format!("Condition{wrong}"))?
            }
        };
        Ok(Self {
            effect,
            actions: Patterns::read(statement, "Action", "NotAction", is_action)?,
            resources: Patterns::read(statement, "Resource", "NotResource", is_resource)?,
            conditions,
        })
    }

    fn applies(&self, action: &str, resource: &str, context: &Context<'_>) -> bool {
        // Where nobody knows a resource's tags, the call is to be refused because there is no such resource, and neither
        // denied for a tag nor for the lack of one.
        let unknown = self.effect == Effect::Allow;
        let action = action.to_ascii_lowercase();
        self.actions
            .fit(|it| wildcard(&it.to_ascii_lowercase(), &action))
            && self.resources.fit(|it| fits_arn(it, resource))
            && self
                .conditions
                .iter()
                .all(|it| it.holds(context).unwrap_or(unknown))
    }
}

impl Patterns {
    fn read(
        statement: &Map<String, Value>,
        plain: &str,
        negated: &str,
        is_sound: fn(&str) -> bool,
    ) -> Result<Self, String> {
        let (name, element) = match (statement.get(plain), statement.get(negated)) {
            (Some(element), None) => (plain, element),
            (None, Some(element)) => (negated, element),
            _ => return Err(format!(": must have either {plain} or {negated}")),
        };
        let texts: Option<Vec<&str>> = match element {
            Value::Array(all) => all.iter().map(Value::as_str).collect(),
            one => one.as_str().map(|one| vec![one]),
        };
        let texts = texts.filter(|it| !it.is_empty());
        let texts =
            texts.ok_or_else(|| format!("{name}: must be a string or a list of strings"))?;
        if let Some(bad) = texts.iter().find(|it| !is_sound(it)) {
            return Err(format!(
                "{name}: '{bad}' is none, or has what is not simulated"
            ));
        }
        Ok(Self {
            negated: name == negated,
            patterns: texts.into_iter().map(str::to_owned).collect(),
        })
    }

    fn fit(&self, fits: impl Fn(&str) -> bool) -> bool {
        self.patterns.iter().any(|it| fits(it)) != self.negated
    }
}

/// `*`, or a service and the name of an action, which may have wildcards.
fn is_action(text: &str) -> bool {
    let name = |it: &str, more: &str| {
        let sound = |c: char| c.is_ascii_alphanumeric() || more.contains(c);
        !it.is_empty() && it.chars().all(sound)
    };
    let sound = |(service, action)| name(service, "-") && name(action, "*?");
    text == "*" || text.split_once(':').is_some_and(sound)
}

/// `*`, or an ARN. Policy variables are not simulated.
fn is_resource(text: &str) -> bool {
    let is_arn = text.starts_with("arn:") && text.splitn(6, ':').count() == 6;
    text == "*" || (is_arn && !text.contains("${"))
}

/// "A wildcard character cannot span segments" ("IAM JSON policy elements: Resource").
fn fits_arn(pattern: &str, resource: &str) -> bool {
    let segments = |it: &str| it.splitn(6, ':').map(str::to_owned).collect::<Vec<_>>();
    let (patterns, parts) = (segments(pattern), segments(resource));
    let mut pairs = patterns.iter().zip(&parts);
    pattern == "*"
        || (patterns.len() == parts.len() && pairs.all(|(pattern, part)| wildcard(pattern, part)))
}

fn object(value: &Value) -> Result<&Map<String, Value>, String> {
    value.as_object().ok_or("must be an object".to_owned())
}

fn known(object: &Map<String, Value>, fields: &[&str]) -> Result<(), String> {
    match object.keys().find(|key| !fields.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => Err(format!("{key}: must be one of {}", fields.join(", "))),
    }
}
