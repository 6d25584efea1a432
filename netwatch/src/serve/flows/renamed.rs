//! Whoever follows a container by its name goes on with it when it gets another one.

use super::{Criterion, Facts, Filter, Term};
use crate::model::Container;

/// Renamed containers that one filter goes on with. One more is followed no further.
const MOST: usize = 1_024;

/// Where a container is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// At either end.
    Either,
    /// It began.
    From,
    /// It is the other end.
    To,
}

impl Filter {
    /// Takes in what an event tells of a container's name: criteria that its former name fits hold for it from now on.
    pub fn follow(&mut self, facts: &Facts<'_>) {
        let [Some(now), Some(before)] = facts.containers else { return };
        if now.id != before.id || now.name == before.name {
            return;
        }
        let of_it = |Term { is, not }: &Term| {
            let role = is.meant(now, before)?;
            Some(Term { is: Criterion::Renamed(role, now.id.clone()), not: *not })
        };
        let mut more: Vec<_> = self.0.iter().filter_map(of_it).collect();
        more.truncate((Self::MOST + MOST).saturating_sub(self.0.len()));
        self.0.append(&mut more);
    }
}

impl Criterion {
    /// The role in which a container was meant before it had another name, and would not be now.
    fn meant(&self, now: &Container, before: &Container) -> Option<Role> {
        let fits = |container: &Container| match self {
            Self::Container(pattern) => pattern.fits_container(container),
            Self::From(pattern) | Self::To(pattern) => pattern.fits(&container.name),
            _ => false,
        };
        let role = match self {
            Self::Container(_) => Role::Either,
            Self::From(_) => Role::From,
            Self::To(_) => Role::To,
            _ => return None,
        };
        (fits(before) && !fits(now)).then_some(role)
    }
}
