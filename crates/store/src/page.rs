//! A part of a list.

/// Which part is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// At most so many.
    pub limit: u32,
    /// After leaving out so many.
    pub offset: u32,
}

impl Page {
    /// Enough to learn how many there are.
    pub(crate) const FIRST: Self = Self {
        limit: 1,
        offset: 0,
    };
}

/// A part of a list and the length of the whole.
#[derive(Debug, Clone)]
pub struct Listed<T> {
    /// The part.
    pub items: Vec<T>,
    /// How many there are in all.
    pub total: u64,
}

impl<T> Listed<T> {
    pub(crate) fn new(items: Vec<T>, total: Option<i64>) -> Self {
        Self {
            items,
            total: total
                .and_then(|total| u64::try_from(total).ok())
                .unwrap_or(0),
        }
    }
}

/// How long a terminated cluster or node stays in the lists, in hours. By its id it stays readable for ever.
pub const TERMINATED_LISTED_HOURS: i32 = 1;
