//! The parameters of queries. A resource names its own once, as a constant: whatever else is given is refused by name,
//! and the specification is made of the same constant.

use utoipa::openapi::{
    KnownFormat, ObjectBuilder, Required, SchemaFormat,
    path::{Parameter, ParameterBuilder, ParameterIn},
    schema::Type,
};

/// A parameter of a query.
#[derive(Debug)]
pub(crate) struct QueryParameter {
    /// How it is written.
    pub(crate) name: &'static str,
    about: &'static str,
    kind: Kind,
}

/// What the value of a parameter is.
#[derive(Debug)]
enum Kind {
    Text,
    Form(&'static str),
    Uuid,
    Time,
    Flag,
    Number { minimum: u32 },
    Choice(&'static [&'static str]),
}

impl QueryParameter {
    /// One whose value is any text.
    pub(crate) const fn text(name: &'static str, about: &'static str) -> Self {
        Self::of(name, Kind::Text, about)
    }

    /// One whose value is a text of this form, a regular expression.
    pub(crate) const fn form(name: &'static str, form: &'static str, about: &'static str) -> Self {
        Self::of(name, Kind::Form(form), about)
    }

    /// One whose value is a uuid.
    pub(crate) const fn uuid(name: &'static str, about: &'static str) -> Self {
        Self::of(name, Kind::Uuid, about)
    }

    /// One whose value is a time.
    pub(crate) const fn time(name: &'static str, about: &'static str) -> Self {
        Self::of(name, Kind::Time, about)
    }

    /// One whose value is `true` or `false`.
    pub(crate) const fn flag(name: &'static str, about: &'static str) -> Self {
        Self::of(name, Kind::Flag, about)
    }

    /// One whose value is a whole number from `minimum` on.
    pub(crate) const fn number(name: &'static str, minimum: u32, about: &'static str) -> Self {
        Self::of(name, Kind::Number { minimum }, about)
    }

    /// One whose value is one of a few.
    pub(crate) const fn choice(
        name: &'static str,
        choices: &'static [&'static str],
        about: &'static str,
    ) -> Self {
        Self::of(name, Kind::Choice(choices), about)
    }

    const fn of(name: &'static str, kind: Kind, about: &'static str) -> Self {
        Self { name, about, kind }
    }
}

/// Parameters as the specification has them.
pub(crate) fn specified<'a>(
    parameters: impl IntoIterator<Item = &'a QueryParameter>,
) -> Vec<Parameter> {
    parameters.into_iter().map(specify).collect()
}

fn specify(parameter: &QueryParameter) -> Parameter {
    let text = ObjectBuilder::new().schema_type(Type::String);
    let formatted = |format| SchemaFormat::KnownFormat(format);
    let schema = match parameter.kind {
        Kind::Text => text,
        Kind::Form(pattern) => text.pattern(Some(pattern)),
        Kind::Uuid => text.format(Some(formatted(KnownFormat::Uuid))),
        Kind::Time => text.format(Some(formatted(KnownFormat::DateTime))),
        Kind::Flag => text.enum_values(Some(["true", "false"])),
        Kind::Choice(choices) => text.enum_values(Some(choices.iter().copied())),
        Kind::Number { minimum } => ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(minimum)),
    };
    ParameterBuilder::new()
        .name(parameter.name)
        .parameter_in(ParameterIn::Query)
        .required(Required::False)
        .description(Some(parameter.about))
        .schema(Some(schema))
        .build()
}
