//! Which events a client wants.

use domain::cluster::Invalid;
use store::event::Event;
use uuid::Uuid;

use crate::{
    stream::query::Parameters,
    uri::{self, uuid_pattern},
};

macro_rules! a_type {
    () => {
        "(stack|service|container|nodecluster|node|action|error)"
    };
}
/// What is taken for types, for the specification.
pub(crate) const TYPES_FORM: &str = concat!("^ *", a_type!(), "( *, *", a_type!(), ")* *$");

macro_rules! a_uri {
    () => {
        concat!(
            " */*(([^/,]+/+)*(token|(stack|service|container|nodecluster|node|action|token)/+",
            uuid_pattern!(),
            ")|",
            uuid_pattern!(),
            ")/* *"
        )
    };
}
/// What is taken for URIs, for the specification.
pub(crate) const URIS_FORM: &str = concat!("^", a_uri!(), "(,", a_uri!(), ")*$");

/// The types that Docker Cloud knew. Of most of them nothing ever happens here.
const TYPES: &[&str] = &[
    "stack",
    "service",
    "container",
    "nodecluster",
    "node",
    "action",
    "error",
];

/// The resources that have URIs which events may name.
const RESOURCES: &[&str] = &[
    "stack",
    "service",
    "container",
    "nodecluster",
    "node",
    "action",
    TOKEN,
];

/// A token can't be read again, so its URI has no id.
const TOKEN: &str = "token";

/// Which events are wanted. What was not asked for is none, and lets everything pass; the others must all agree.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    types: Option<Vec<&'static str>>,
    objects: Option<Vec<Target>>,
    parents: Option<Vec<Target>>,
}

/// What a URI names.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    /// None where only the id was given.
    resource: Option<&'static str>,
    /// None for the tokens.
    id: Option<Uuid>,
}

impl Filter {
    /// What the parameters ask for.
    pub(crate) fn parse(parameters: &Parameters) -> Result<Self, Invalid> {
        let types = parameters
            .list("type")
            .map(|types| types.map(parse_type).collect::<Result<_, _>>())
            .transpose()?;
        // The documentation said `parent`, and Docker's own library sends `parents`: either will do.
        let parents = [
            targets(parameters, "parent")?,
            targets(parameters, "parents")?,
        ];
        Ok(Self {
            types,
            objects: targets(parameters, "object")?,
            parents: parents.into_iter().flatten().reduce(|mut all, more| {
                all.extend(more);
                all
            }),
        })
    }

    /// Whether an event is wanted.
    pub(crate) fn lets_pass(&self, event: &Event) -> bool {
        let object_type = event.object_type.as_str();
        let is_type = |types: &Vec<&str>| types.contains(&object_type);
        let is_object = |objects: &Vec<Target>| {
            objects
                .iter()
                .any(|target| target.is(object_type, event.object_id))
        };
        let is_child = |parents: &Vec<Target>| {
            let parent = event.parent.as_ref();
            parent.is_some_and(|(resource, id)| {
                parents
                    .iter()
                    .any(|target| target.is(resource.as_str(), *id))
            })
        };
        self.types.as_ref().is_none_or(is_type)
            && self.objects.as_ref().is_none_or(is_object)
            && self.parents.as_ref().is_none_or(is_child)
    }
}

impl Target {
    fn is(&self, resource: &str, id: Uuid) -> bool {
        self.resource.is_none_or(|wanted| wanted == resource)
            && self.id.is_none_or(|wanted| wanted == id)
    }

    /// Reads a URI in any of the forms in which it may be asked for.
    fn parse(text: &str) -> Option<Self> {
        let segments: Vec<&str> = text.split('/').filter(|s| !s.is_empty()).collect();
        let resource = |name: &str| RESOURCES.iter().copied().find(|known| *known == name);
        match segments.as_slice() {
            [.., TOKEN] => Some(Self {
                resource: Some(TOKEN),
                id: None,
            }),
            [id] => Some(Self {
                resource: None,
                id: Some(uri::parse_uuid(id)?),
            }),
            [.., name, id] => Some(Self {
                resource: Some(resource(name)?),
                id: Some(uri::parse_uuid(id)?),
            }),
            [] => None,
        }
    }
}

fn parse_type(text: &str) -> Result<&'static str, Invalid> {
    let known = TYPES.iter().copied().find(|known| *known == text);
    known.ok_or_else(|| Invalid::new("type", format!("{text:?} is none of {}", TYPES.join(", "))))
}

fn targets(parameters: &Parameters, name: &str) -> Result<Option<Vec<Target>>, Invalid> {
    let parse = |text: &str| {
        Target::parse(text).ok_or_else(|| {
            Invalid::new(
                name,
                format!(
                    "{text:?} is no URI of an object, as /api/infra/v1/nodecluster/<uuid>/ is one"
                ),
            )
        })
    };
    parameters
        .list(name)
        .map(|uris| uris.map(parse).collect())
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        parameter::QueryParameter,
        stream::frame::tests::{ID, PARENT, event},
    };
    use store::action::ObjectType;

    const KNOWN: &[QueryParameter] = &[
        QueryParameter::text("type", ""),
        QueryParameter::text("object", ""),
        QueryParameter::text("parent", ""),
        QueryParameter::text("parents", ""),
    ];

    fn parse(query: &str) -> Result<Filter, Invalid> {
        let uri = format!("/?{query}").parse().unwrap();
        Filter::parse(&Parameters::parse(&uri, KNOWN)?)
    }

    fn passes(query: &str) -> bool {
        let node = event("node", Some(ObjectType::NodeCluster));
        parse(query).unwrap().lets_pass(&node)
    }

    #[test]
    fn what_is_not_asked_for_lets_everything_pass() {
        assert!(passes(""));
    }

    #[test]
    fn a_type_may_be_one_of_several() {
        assert!(passes("type=node") && passes("type=action,node") && passes("type=action,%20node"));
        assert!(!passes("type=nodecluster") && !passes("type=service,error"));
        let refusal = parse("type=node,nodes").unwrap_err().to_string();
        assert_eq!(
            refusal,
            "type: \"nodes\" is none of stack, service, container, nodecluster, node, action, error"
        );
        assert!(parse("type=").is_err());
    }

    #[test]
    fn an_object_is_found_by_any_form_of_its_uri() {
        for front in [
            "/api/infra/v1/",
            "/api/infra/v1/dev/",
            "/infra/v1/",
            "/",
            "",
        ] {
            assert!(passes(&format!("object={front}node/{ID}/")), "{front}");
            assert!(passes(&format!("object={front}node/{ID}")), "{front}");
            assert!(
                !passes(&format!("object={front}nodecluster/{ID}")),
                "{front}"
            );
        }
        assert!(passes(&format!("object={ID}")) && !passes(&format!("object={PARENT}")));
        assert!(passes(&format!("object=/node/{PARENT}/,/node/{ID}/")));
        for bad in [
            "",
            "/",
            "/node/",
            "/node/1/",
            "/nodes/00cc59e1-c605-403c-a5fb-3269b6a0d6bf/",
        ] {
            let refusal = parse(&format!("object={bad}")).unwrap_err().to_string();
            assert!(refusal.starts_with("object: "), "{refusal}");
        }
    }

    #[test]
    fn parent_and_parents_are_one_filter() {
        let cluster = format!("/api/infra/v1/nodecluster/{PARENT}/");
        let other = format!("/api/infra/v1/nodecluster/{ID}/");
        assert!(passes(&format!("parent={cluster}")));
        assert!(passes(&format!("parents={other},{cluster}")));
        assert!(passes(&format!("parent={other}&parents={cluster}")));
        assert!(!passes(&format!("parents={other}")));
        let without = event("nodecluster", None);
        let filter = parse(&format!("parent={cluster}")).unwrap();
        assert!(!filter.lets_pass(&without));
        assert!(
            parse("parents=x")
                .unwrap_err()
                .to_string()
                .starts_with("parents: ")
        );
    }

    #[test]
    fn the_actions_on_tokens_have_a_parent_without_an_id() {
        let action = event("action", Some(ObjectType::Token));
        for uri in ["/api/infra/v1/token/", "/api/infra/v1/dev/token"] {
            assert!(parse(&format!("parent={uri}")).unwrap().lets_pass(&action));
            assert!(!passes(&format!("parent={uri}")));
        }
    }

    #[test]
    fn filters_that_are_given_together_must_all_agree() {
        let both = |object_type: &str, parent: &str| {
            passes(&format!("type={object_type}&parent=/nodecluster/{parent}/"))
        };
        assert!(both("node", PARENT));
        assert!(!both("action", PARENT) && !both("node", ID));
    }
}
