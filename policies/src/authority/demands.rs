//! What an authority demands beside a signature: `ctlog` and `rfc3161timestamp`.

use crate::facts::{Basis, Demand, LogDemand, Profile, TrustRootRef};
use crate::key::PublicKey;
use crate::object::{Object, Report};

/// What is demanded of the time of a signature.
///
/// Nothing that is demanded is ever left out because something else is: a signed timestamp does not do instead of a
/// log entry where both are asked for.
#[derive(Debug)]
pub(super) struct Demands {
    log: LogDemand,
    log_root: Option<TrustRootRef>,
    timestamp: Demand,
    timestamp_root: Option<TrustRootRef>,
}

impl Demands {
    /// Reads both fields.
    pub(super) fn read(authority: &Object<'_>, report: &mut Report) -> Self {
        let (mut log, mut timestamp) = (LogDemand::Nothing, Demand::NotRequired);
        let ctlog = authority.object("ctlog", report);
        let log_root = ctlog.and_then(|ctlog| {
            log = LogDemand::Entry;
            ctlog.only(&["url", "trustRootRef"], report);
            // Which log it was is in the trust root; a verifier asks none.
            ctlog.text("url", report);
            trust_root(&ctlog, report)
        });
        let stamped = authority.object("rfc3161timestamp", report);
        let timestamp_root = stamped.and_then(|stamped| {
            timestamp = Demand::Required;
            stamped.only(&["trustRootRef"], report);
            trust_root(&stamped, report)
        });
        Self { log, log_root, timestamp, timestamp_root }
    }

    /// What is demanded of the log where nothing else asks for it.
    pub(super) fn log(&self) -> LogDemand {
        self.log
    }

    /// The basis of signatures under a certificate. They are in the log whether that is said or not: the log is what
    /// vouches that the certificate was valid when it signed.
    pub(super) fn keyless(&self, certificates: TrustRootRef, certificate_timestamp: Demand) -> Basis {
        let or_certificates =
            |root: &Option<TrustRootRef>| root.clone().unwrap_or_else(|| certificates.clone());
        Basis {
            key: None,
            logs: or_certificates(&self.log_root),
            timestamps: or_certificates(&self.timestamp_root),
            profile: Profile { log: LogDemand::Entry, certificate_timestamp, timestamp: self.timestamp },
            certificates,
        }
    }

    /// The basis of signatures by a key. Where one root is named, it is the only one that is asked for.
    pub(super) fn key(&self, key: PublicKey) -> Basis {
        let named = self.log_root.as_ref().or(self.timestamp_root.as_ref());
        let any = named.cloned().unwrap_or(TrustRootRef::Default);
        Basis {
            key: Some(key),
            logs: self.log_root.clone().unwrap_or_else(|| any.clone()),
            timestamps: self.timestamp_root.clone().unwrap_or_else(|| any.clone()),
            profile: Profile {
                log: self.log,
                certificate_timestamp: Demand::NotRequired,
                timestamp: self.timestamp,
            },
            certificates: any,
        }
    }
}

/// The root that a `trustRootRef` names, if there is one.
pub(super) fn trust_root(object: &Object<'_>, report: &mut Report) -> Option<TrustRootRef> {
    object.text("trustRootRef", report).map(|name| TrustRootRef::Named(name.into()))
}
