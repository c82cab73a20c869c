//! Trust policies: who may assume a role ("IAM JSON policy elements: Principal", "How to use an external ID").

use serde_json::{Map, Value};

use super::condition::{Condition, Context};
use crate::protocol::auth::Caller;

/// The action that a trust policy is about.
const ASSUME_ROLE: &str = "sts:AssumeRole";

/// A role's trust policy.
#[derive(Debug)]
pub(crate) struct Trust {
    statements: Vec<Statement>,
}

#[derive(Debug)]
struct Statement {
    allows: bool,
    /// Account ids, ARNs and `*`.
    principals: Vec<String>,
    conditions: Vec<Condition>,
}

impl Trust {
    /// Reads a document. What is not simulated is an error, so that it is never ignored.
    pub(crate) fn read(document: &str) -> Result<Self, String> {
        let document: Map<String, Value> =
            serde_json::from_str(document).map_err(|error| error.to_string())?;
        let statements = match document.get("Statement") {
            Some(Value::Array(all)) => all.iter().collect(),
            Some(one) => vec![one],
            None => return Err("Statement: must be a list of statements".to_owned()),
        };
        let statements = statements.into_iter().map(Statement::read);
        Ok(Self {
            statements: statements.collect::<Result<_, _>>()?,
        })
    }

    /// Whether the caller may assume the role.
    pub(crate) fn lets(&self, caller: &Caller, context: &Context<'_>) -> bool {
        let applies = |allows| {
            self.statements
                .iter()
                .any(|it| it.allows == allows && it.applies(caller, context))
        };
        !applies(false) && applies(true)
    }
}

impl Statement {
    fn read(statement: &Value) -> Result<Self, String> {
        let element = |name: &str| statement.get(name).unwrap_or(&Value::Null);
        let allows = match element("Effect").as_str() {
            Some("Allow") => true,
            Some("Deny") => false,
            _ => return Err("Effect: must be \"Allow\" or \"Deny\"".to_owned()),
        };
        if texts(element("Action"))? != [ASSUME_ROLE] {
            return Err(format!("Action: only {ASSUME_ROLE} is simulated"));
        }
        let principals = match element("Principal") {
            Value::String(all) if all == "*" => vec!["*".to_owned()],
            // Services are none of those who call here.
            Value::Object(kinds) => kinds.get("AWS").map_or(Ok(Vec::new()), texts)?,
            _ => return Err("Principal: must be \"*\" or an object".to_owned()),
        };
        let conditions = match element("Condition") {
            Value::Null => Vec::new(),
            element => Condition::read_all(element).map_err(|wrong| format!("Condition{wrong}"))?,
        };
        Ok(Self {
            allows,
            principals,
            conditions,
        })
    }

    fn applies(&self, caller: &Caller, context: &Context<'_>) -> bool {
        let root = format!("arn:aws:iam::{}:root", caller.account);
        let arn = caller.arn();
        let names = [caller.account.as_str(), &root, &arn, "*"];
        let is_named = |it: &String| names.contains(&it.as_str());
        self.principals.iter().any(is_named)
            && self
                .conditions
                .iter()
                .all(|it| it.holds(context) == Some(true))
    }
}

fn texts(element: &Value) -> Result<Vec<String>, String> {
    let all = match element {
        Value::Array(all) => all.iter().collect(),
        one => vec![one],
    };
    let texts = all.into_iter().map(|it| it.as_str().map(str::to_owned));
    texts
        .collect::<Option<_>>()
        .ok_or_else(|| format!("{element}: must be a string or a list of strings"))
}
