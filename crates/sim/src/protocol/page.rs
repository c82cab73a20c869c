//! `MaxResults` and `NextToken`.
//!
//! A token holds the key of the last item shown, not a count, so that what is created or deleted between two pages
//! moves nothing out of sight.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{ApiError, Element, Scope};

const MARK: &str = "after:";

/// Which page a request asks for.
#[derive(Debug)]
pub(crate) struct Page {
    size: Option<usize>,
    after: Option<String>,
}

/// The items of a page and the token of the next one.
pub(crate) struct Cut<T> {
    pub items: Vec<T>,
    pub next: Option<String>,
}

impl Page {
    /// Reads the page with EC2's bounds for the action.
    pub(crate) fn read(params: &Scope<'_>, least: usize, most: usize) -> Result<Self, ApiError> {
        let size = match params.number("MaxResults")? {
            None => None,
            Some(n) => match usize::try_from(n) {
                Ok(size) if (least..=most).contains(&size) => Some(size),
                _ => {
                    let message = format!(
                        "Value ( {n} ) for parameter maxResults is invalid. Expecting a value between {least} and {most}."
                    );
                    return Err(ApiError::value(message));
                }
            },
        };
        let after = match params.text("NextToken") {
            None | Some("") => None,
            Some(token) => Some(
                decoded(token)
                    .ok_or_else(|| ApiError::value("Unable to parse pagination token"))?,
            ),
        };
        Ok(Self { size, after })
    }

    /// The same with fewer items, where there is a limit: "a page may have fewer than the maximum" (pagination of AWS's APIs).
    pub(crate) fn of_at_most(self, most: Option<usize>) -> Self {
        let size = [self.size, most].into_iter().flatten().min();
        Self { size, ..self }
    }

    pub(crate) fn is_asked_for(&self) -> bool {
        self.size.is_some() || self.after.is_some()
    }

    /// Sorts the items by key and cuts the page out.
    pub(crate) fn cut<T>(&self, mut items: Vec<T>, key: impl Fn(&T) -> String) -> Cut<T> {
        items.sort_by_cached_key(&key);
        if let Some(after) = &self.after {
            items.retain(|item| key(item) > *after);
        }
        let mut next = None;
        if let Some(size) = self.size
            && items.len() > size
        {
            items.truncate(size);
            next = items
                .last()
                .map(|last| URL_SAFE_NO_PAD.encode(format!("{MARK}{}", key(last))));
        }
        Cut { items, next }
    }
}

impl Element {
    /// EC2 leaves the token out on the last page.
    pub(crate) fn next_token(self, next: Option<String>) -> Self {
        self.opt("nextToken", next)
    }
}

fn decoded(token: &str) -> Option<String> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    text.strip_prefix(MARK).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Params;

    fn page(size: &str, token: Option<&str>) -> Result<Page, ApiError> {
        let mut pairs = vec![("MaxResults".to_owned(), size.to_owned())];
        pairs.extend(token.map(|token| ("NextToken".to_owned(), token.to_owned())));
        Page::read(&Params::new(pairs).root(), 5, 1000)
    }

    #[test]
    fn pages_join_to_the_whole_even_when_an_item_goes_between_them() {
        let mut all: Vec<u32> = (10..22).collect();
        let first = page("5", None).unwrap().cut(all.clone(), u32::to_string);
        all.remove(0);
        let second = page("5", first.next.as_deref())
            .unwrap()
            .cut(all.clone(), u32::to_string);
        let third = page("5", second.next.as_deref())
            .unwrap()
            .cut(all, u32::to_string);
        assert_eq!(
            (first.items.len(), second.items[0], third.items),
            (5, 15, vec![20, 21])
        );
        assert_eq!(third.next, None);
    }

    #[test]
    fn sizes_out_of_bounds_and_made_up_tokens_are_refused() {
        for (size, token) in [
            ("4", None),
            ("1001", None),
            ("-1", None),
            ("x", None),
            ("5", Some("bogus")),
            ("5", Some("€")),
        ] {
            assert_eq!(page(size, token).unwrap_err().code, "InvalidParameterValue");
        }
    }
}
