//! Which role vouches for a target: section 5.6.7 of the specification.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use sigstore_tuf::{Key, RoleKeys, TargetFile, Targets};

use super::error::TufError;

/// How many roles are asked for one target, and how far one may be from the first.
const ROLES_LIMIT: usize = 32;
const DEPTH_LIMIT: usize = 8;

/// A search through delegations: depth first, in the order that they are written in.
#[derive(Clone, Default)]
pub(super) struct Search {
    asked: BTreeSet<String>,
    depth: usize,
    queue: VecDeque<Edge>,
}

/// A role, and whose signatures whoever delegates to it wants to see.
#[derive(Clone)]
pub(super) struct Edge {
    pub(super) role: String,
    pub(super) keys: BTreeMap<String, Key>,
    pub(super) signers: RoleKeys,
    depth: usize,
}

/// How the search goes on.
pub(super) enum Found {
    /// This is vouched for.
    Target(TargetFile),
    /// This role is asked next.
    Role(Edge),
}

impl Search {
    /// Looks into the metadata of the role that was asked.
    pub(super) fn next(&mut self, targets: &Targets, role: &str, target: &str) -> Result<Found, TufError> {
        if let Some(file) = targets.target(target) {
            return Ok(Found::Target(file.clone()));
        }
        self.asked.insert(role.to_owned());
        self.follow(targets, role, target)?;
        while let Some(edge) = self.queue.pop_front() {
            if self.asked.contains(&edge.role) {
                continue;
            }
            if self.asked.len() >= ROLES_LIMIT || edge.depth > DEPTH_LIMIT {
                return Err(TufError::TooManyRoles(ROLES_LIMIT));
            }
            self.depth = edge.depth;
            return Ok(Found::Role(edge));
        }
        Err(TufError::NoTarget(target.to_owned()))
    }

    /// Puts what a role delegates the target to before everything else. A terminating delegation is the last that is
    /// looked at.
    fn follow(&mut self, targets: &Targets, role: &str, target: &str) -> Result<(), TufError> {
        let Some(delegations) = &targets.delegations else { return Ok(()) };
        let mut edges = Vec::new();
        for delegated in &delegations.roles {
            let matches = delegated.matches_path(target).map_err(|error| TufError::malformed(role, error))?;
            // The four roles of the root are nobody's to delegate.
            if !matches || ["root", "timestamp", "snapshot", "targets"].contains(&delegated.name.as_str()) {
                continue;
            }
            edges.push(Edge {
                role: delegated.name.clone(),
                keys: delegations.keys.clone(),
                signers: delegated.role_keys(),
                depth: self.depth + 1,
            });
            if edges.len() > ROLES_LIMIT {
                return Err(TufError::TooManyRoles(ROLES_LIMIT));
            }
            if delegated.terminating {
                self.queue.clear();
                break;
            }
        }
        for edge in edges.into_iter().rev() {
            self.queue.push_front(edge);
        }
        Ok(())
    }
}
