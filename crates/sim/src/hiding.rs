//! Lists that leave out what is there: a describe call that is served by a replica that lags behind ("Eventual consistency
//! in the Amazon EC2 API"), for as long as a test wants it and for the objects that it chooses.
//!
//! In contrast to what is too young to be seen (`consistency`), a call that names such an object works.

use crate::consistency::Shelf;
use crate::protocol::ApiError;
use crate::simulator::Simulator;
use crate::state::{Kind, Millis, Region};

/// Which objects describe calls do not show, and for how long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HideRule {
    /// These objects.
    pub ids: Vec<String>,
    /// All objects of a kind, those that are made later among them: `vpc`, `subnet`, `internet-gateway`, `route-table`,
    /// `security-group` or `instance`.
    pub kind: Option<String>,
    /// Of that kind only the next so many that are made.
    pub next: Option<u32>,
    /// So many milliseconds of simulated time, those of [`Self::next`] from when they are made; or until
    /// [`Simulator::unhide`].
    pub for_ms: Option<u64>,
    /// Whether a describe call that names such an object doesn't know it either.
    pub by_id: bool,
}

impl HideRule {
    /// These objects are not listed until they are unhidden.
    pub fn ids<T: Into<String>>(ids: impl IntoIterator<Item = T>) -> Self {
        Self {
            ids: ids.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// No object of a kind is listed until they are unhidden.
    pub fn kind(kind: &str) -> Self {
        Self {
            kind: Some(kind.to_owned()),
            ..Self::default()
        }
    }

    /// The next objects of a kind that are made are not listed until they are unhidden.
    pub fn next(kind: &str, count: u32) -> Self {
        Self {
            next: Some(count),
            ..Self::kind(kind)
        }
    }

    /// What the rule is about; the error names the field that is wrong.
    pub(crate) fn scope(&self) -> Result<Scope, String> {
        match (&self.kind, self.next) {
            (None, None) if !self.ids.is_empty() => Ok(Scope::These(self.ids.clone())),
            (Some(kind), next) if self.ids.is_empty() => {
                let kind = kind_called(kind)?;
                match next {
                    None => Ok(Scope::All(kind)),
                    Some(0) => Err("next: must be 1 or greater".to_owned()),
                    Some(next) => Ok(Scope::Next(kind, next)),
                }
            }
            (None, Some(_)) => Err("next: needs a kind".to_owned()),
            _ => Err("ids, kind: one of both is needed".to_owned()),
        }
    }
}

/// The kind that bears a name in tag specifications.
fn kind_called(name: &str) -> Result<Kind, String> {
    let kinds = [
        Kind::Vpc,
        Kind::Subnet,
        Kind::Gateway,
        Kind::RouteTable,
        Kind::Group,
        Kind::Instance,
    ];
    let found = kinds.into_iter().find(|kind| kind.tag_type() == name);
    found.ok_or_else(|| {
        let all = kinds.map(Kind::tag_type).join(", ");
        format!("kind: '{name}' can't be hidden, only {all}")
    })
}

/// The objects that a rule is about.
#[derive(Clone, Debug)]
pub(crate) enum Scope {
    These(Vec<String>),
    All(Kind),
    Next(Kind, u32),
}

#[derive(Debug)]
struct Hidden {
    scope: Scope,
    for_ms: Option<u64>,
    until: Option<Millis>,
    by_id: bool,
}

/// What is hidden in a region.
#[derive(Debug, Default)]
pub(crate) struct Hiding(Vec<Hidden>);

impl Hidden {
    fn hides(&self, kind: Kind, id: &str, now: Millis) -> bool {
        let is_meant = match &self.scope {
            Scope::These(ids) => ids.iter().any(|it| it == id),
            Scope::All(all) => *all == kind,
            Scope::Next(..) => false,
        };
        is_meant && self.until.is_none_or(|until| now < until)
    }
}

impl Hiding {
    fn add(&mut self, scope: Scope, for_ms: Option<u64>, by_id: bool, now: Millis) {
        self.0.push(Hidden {
            scope,
            for_ms,
            until: for_ms.map(|ms| now.saturating_add(ms)),
            by_id,
        });
    }

    /// Takes note of an object that is made: it is hidden by the first rule that waits for one of its kind.
    pub(crate) fn made(&mut self, made: Kind, id: &str, now: Millis) {
        let waiting = self.0.iter_mut().find_map(|it| match &mut it.scope {
            Scope::Next(kind, left) if *kind == made && *left > 0 => {
                *left -= 1;
                Some((it.for_ms, it.by_id))
            }
            _ => None,
        });
        if let Some((for_ms, by_id)) = waiting {
            self.add(Scope::These(vec![id.to_owned()]), for_ms, by_id, now);
        }
    }
}

impl Region {
    /// Whether lists show what exists.
    pub(crate) fn is_listed(&self, kind: Kind, id: &str) -> bool {
        let mut rules = self.hiding.0.iter();
        !rules.any(|it| it.hides(kind, id, self.now))
    }

    /// What a describe call is about: the objects that it names, or all that are listed. Refuses unknown ids.
    pub(crate) fn described<'r, T>(
        &self,
        kind: Kind,
        shelf: &'r Shelf<T>,
        ids: &[&str],
    ) -> Result<Vec<&'r T>, ApiError> {
        let is_unknown = |id: &str| {
            let mut rules = self.hiding.0.iter();
            !shelf.contains_key(id) || rules.any(|it| it.by_id && it.hides(kind, id, self.now))
        };
        let unknown: Vec<&str> = ids.iter().copied().filter(|id| is_unknown(id)).collect();
        if !unknown.is_empty() {
            return Err(kind.none_of(&unknown));
        }
        let is_meant = |id: &str| match ids {
            [] => self.is_listed(kind, id),
            _ => ids.contains(&id),
        };
        let described = shelf.iter().filter(|(id, _)| is_meant(id));
        Ok(described.map(|(_, value)| value).collect())
    }
}

impl Simulator {
    /// Hides objects from describe calls.
    ///
    /// # Errors
    /// When the rule or the region is not understood.
    pub fn hide(&self, account: &str, region: &str, rule: &HideRule) -> Result<(), String> {
        let scope = rule.scope()?;
        self.in_region(account, region, |region| {
            let now = region.now;
            region.hiding.add(scope, rule.for_ms, rule.by_id, now);
        })
        .ok_or_else(|| format!("there is no region '{region}'"))
    }

    /// Shows everything in a region again.
    pub fn unhide(&self, account: &str, region: &str) {
        self.in_region(account, region, |region| region.hiding = Hiding::default());
    }
}
