//! What a replica does next, as a function of what happened. The model below explores the very same function.

/// What a replica does.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Move {
    /// Asks for the lease.
    Claim,
    /// Looks whether the outcome is there by now.
    Look { held: Held },
    /// Lets some time pass.
    Pause,
    /// Does the work.
    Work { held: Held },
    /// Gives the lease back, if it has it.
    Release,
    /// Is done.
    End,
}

/// Whether whoever looks or works has the lease.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Held {
    Yes,
    No,
    /// The question was not answered, and may have been heard.
    Unknown,
}

/// What happened.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Event {
    Granted,
    Taken,
    Unanswered,
    Found,
    NotFound,
    Waited,
    OutOfPatience,
    Finished,
    Released,
}

impl Move {
    pub(super) const FIRST: Self = Self::Claim;
    pub(super) const WORK_HOLDING: Self = Self::Work { held: Held::Yes };

    /// What comes next. An event that cannot follow a move ends in work: that is always right.
    pub(super) fn after(self, event: Event) -> Self {
        match (self, event) {
            // Whoever is about to work looks first: another may have finished between its last look and the claim.
            (Self::Claim, Event::Granted) => Self::Look { held: Held::Yes },
            (Self::Claim, Event::Taken) => Self::Look { held: Held::No },
            (Self::Claim, _) => Self::Look { held: Held::Unknown },
            (Self::Look { held: Held::No }, Event::Found) => Self::End,
            (Self::Look { held: Held::No }, _) => Self::Pause,
            (Self::Look { .. }, Event::Found) => Self::Release,
            (Self::Look { held }, _) => Self::Work { held },
            (Self::Pause, Event::Waited) => Self::Claim,
            (Self::Pause, _) => Self::Work { held: Held::No },
            (Self::Work { held: Held::Yes | Held::Unknown }, _) => Self::Release,
            (Self::Work { held: Held::No } | Self::Release | Self::End, _) => Self::End,
        }
    }
}

#[cfg(test)]
mod model;
