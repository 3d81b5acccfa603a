//! Memory: what was found, verified and fetched, and for how long. Speaks to no registry.
