//! A small XML tree. Handlers say what is in an answer; escaping and layout happen here once.

use std::borrow::Cow;
use std::fmt::Display;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

/// An element with either text or children.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Element {
    name: Cow<'static, str>,
    namespace: Option<&'static str>,
    text: Option<String>,
    children: Vec<Element>,
}

/// An empty element of this name.
pub(crate) fn el(name: &'static str) -> Element {
    Element {
        name: name.into(),
        ..Element::default()
    }
}

impl Element {
    /// The content of an answer; the dispatcher gives it its name, which follows from the action.
    pub(crate) fn answer() -> Self {
        Self::default()
    }

    /// EC2's answer to actions that have nothing to tell.
    pub(crate) fn done() -> Self {
        Self::answer().text("return", true)
    }

    pub(crate) fn named(mut self, name: String) -> Self {
        self.name = name.into();
        self
    }

    pub(crate) fn namespace(mut self, namespace: &'static str) -> Self {
        self.namespace = Some(namespace);
        self
    }

    pub(crate) fn text(mut self, name: &'static str, value: impl Display) -> Self {
        self.children.push(Element {
            text: Some(value.to_string()),
            ..el(name)
        });
        self
    }

    pub(crate) fn opt(self, name: &'static str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.text(name, value),
            None => self,
        }
    }

    pub(crate) fn child(mut self, child: Element) -> Self {
        self.children.push(child);
        self
    }

    pub(crate) fn maybe(self, child: Option<Element>) -> Self {
        match child {
            Some(child) => self.child(child),
            None => self,
        }
    }

    /// A list element; present even when it is empty, as EC2 answers.
    pub(crate) fn list(self, name: &'static str, items: impl IntoIterator<Item = Element>) -> Self {
        self.child(Element {
            children: items.into_iter().collect(),
            ..el(name)
        })
    }

    /// A list of plain values, each in an `item`.
    pub(crate) fn values<T: Display>(
        self,
        name: &'static str,
        values: impl IntoIterator<Item = T>,
    ) -> Self {
        self.list(
            name,
            values.into_iter().map(|value| Element {
                text: Some(value.to_string()),
                ..el("item")
            }),
        )
    }

    /// The child of a name.
    pub(crate) fn child_of(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|it| it.name == name)
    }

    /// The text of the child of a name.
    pub(crate) fn text_of(&self, name: &str) -> Option<&str> {
        self.child_of(name)?.text.as_deref()
    }

    /// Puts an element before the others (EC2 shows the request id first).
    pub(crate) fn first(mut self, child: Element) -> Self {
        self.children.insert(0, child);
        self
    }

    pub(crate) fn leaf(name: &'static str, value: impl Display) -> Self {
        Element {
            text: Some(value.to_string()),
            ..el(name)
        }
    }

    /// The whole document, with its declaration.
    pub(crate) fn document(&self) -> String {
        let mut writer = Writer::new(Vec::new());
        let written = writer
            .write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))
            .and_then(|()| self.write(&mut writer));
        debug_assert!(written.is_ok(), "writing to memory does not fail");
        String::from_utf8_lossy(&writer.into_inner()).into_owned()
    }

    fn write(&self, writer: &mut Writer<Vec<u8>>) -> std::io::Result<()> {
        let mut start = BytesStart::new(self.name.as_ref());
        if let Some(namespace) = self.namespace {
            start.push_attribute(("xmlns", namespace));
        }
        if self.text.is_none() && self.children.is_empty() {
            return writer.write_event(Event::Empty(start));
        }
        writer.write_event(Event::Start(start))?;
        if let Some(text) = &self.text {
            writer.write_event(Event::Text(BytesText::new(&allowed(text))))?;
        }
        for child in &self.children {
            child.write(writer)?;
        }
        writer.write_event(Event::End(BytesEnd::new(self.name.as_ref())))
    }
}

/// XML 1.0 cannot carry most control characters, not even escaped, and a carriage return would be read as a newline.
fn allowed(text: &str) -> Cow<'_, str> {
    let bad =
        |c: char| (c < ' ' && !matches!(c, '\t' | '\n')) || matches!(c, '\u{fffe}' | '\u{ffff}');
    if text.contains(bad) {
        text.replace(bad, "\u{fffd}").into()
    } else {
        text.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_control_characters_are_replaced() {
        let xml = el("a").text("b", "<&>\"\u{1}").list("c", []).document();
        assert_eq!(
            xml,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><a><b>&lt;&amp;&gt;&quot;\u{fffd}</b><c/></a>"
        );
    }
}
