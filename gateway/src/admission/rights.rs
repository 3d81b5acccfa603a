//! By whose right a registry is asked that gives nothing by ours: by that of the Pod, whose pull secrets its kubelet shows.

use std::sync::Arc;

use oci::{Endpoint, Name, TagOrDigest};
use tokio::sync::OnceCell;
use upstream::{FetchError, PullSecret};

use super::AdmissionDoor;
use super::images::Workload;
use super::review::AdmissionRequest;
use crate::callers::Caller;
use crate::kubernetes::{PullSecrets, Unusable};
use crate::place::Place;
use crate::undecided::Undecided;

/// The rights of the Pods of one object, looked up when the first of its images needs any.
pub(super) struct Rights<'a> {
    door: &'a AdmissionDoor,
    request: &'a AdmissionRequest<'a>,
    workload: &'a Workload,
    own: OnceCell<Secrets>,
    of_account: OnceCell<Secrets>,
}

/// A repository as it is given to somebody by a right of theirs.
#[derive(Clone)]
pub(super) struct Given {
    pub(super) place: Place,
    caller: Caller,
}

/// What is named as pull secrets, and what each is.
type Secrets = Vec<(String, Result<Arc<PullSecret>, Unusable>)>;

/// The most pull secrets that are read for an object, of itself and of its account each.
const SECRETS: usize = 16;

/// The most credentials that a registry is shown for one image.
const TRIES: usize = 8;

impl<'a> Rights<'a> {
    pub(super) fn of(
        door: &'a AdmissionDoor,
        request: &'a AdmissionRequest<'a>,
        workload: &'a Workload,
    ) -> Self {
        Self { door, request, workload, own: OnceCell::new(), of_account: OnceCell::new() }
    }

    /// The place of an image as the object's Pods are given it, where its registry is asked by nobody else's right. Nothing,
    /// where it is asked by ours. The name is canonical.
    ///
    /// # Errors
    /// The Pods have no right to it, or it could not be told.
    pub(super) async fn given(&self, name: &Name, version: &TagOrDigest) -> Result<Option<Given>, Undecided> {
        let door = self.door;
        if !door.upstreams.is_for_callers_alone(&name.host) {
            return Ok(None);
        }
        let Some(reader) = &door.pull_secrets else {
            return Err(Undecided::NoCredentials(name.host.clone()));
        };
        let place = door.upstreams.place(name).ok_or_else(|| Undecided::NoUpstream(name.host.clone()))?;
        let asked = Endpoint::Manifest(name.repository.clone(), version.clone());
        let mut tried = Tried { left: TRIES, why: Vec::new() };
        let own = self.own.get_or_init(|| self.read_own(reader)).await;
        if let Some(given) = self.first(own, &place, &asked, &mut tried).await? {
            return Ok(Some(given));
        }
        let others = self.of_account.get_or_init(|| self.read_those_of_account(reader, own)).await;
        match self.first(others, &place, &asked, &mut tried).await? {
            Some(given) => Ok(Some(given)),
            None => Err(Undecided::PullSecrets(tried.said(name))),
        }
    }

    /// The first of these that the registry gives something for.
    async fn first(
        &self,
        secrets: &Secrets,
        place: &Place,
        asked: &Endpoint,
        tried: &mut Tried,
    ) -> Result<Option<Given>, Undecided> {
        for (secret, read) in secrets {
            let read = match read {
                Ok(read) => read,
                Err(why) => {
                    tried.why.push(format!("{secret} {why}"));
                    continue;
                }
            };
            let mut has_any = false;
            for (username, password) in read.credentials_for(&place.name).filter_map(|it| it.password()) {
                has_any = true;
                if tried.left == 0 {
                    break;
                }
                tried.left -= 1;
                let (place, caller) = Caller::of(place.clone(), username, password);
                match self.door.callers.prove(caller, &place, asked).await {
                    Ok(()) => return Ok(Some(Given { place, caller })),
                    Err(error @ (FetchError::Unauthorized | FetchError::NotFound)) => {
                        tried.why.push(format!("the registry's answer to {secret} is that {error}"));
                    }
                    Err(error) => return Err(Undecided::Fetch(error)),
                }
            }
            if !has_any {
                tried.why.push(format!("{secret} has no password for it"));
            }
        }
        Ok(None)
    }

    /// The registry refused something that it was asked for by a right which it had honoured.
    pub(super) fn doubt(&self, given: Option<&Given>, why: &Undecided) {
        if let (Some(given), Undecided::Fetch(FetchError::Unauthorized | FetchError::NotFound)) = (given, why)
        {
            self.door.callers.doubt(given.caller);
        }
    }

    async fn read_own(&self, reader: &PullSecrets) -> Secrets {
        self.read(reader, self.workload.pull_secrets(self.object()).secrets).await
    }

    async fn read_those_of_account(&self, reader: &PullSecrets, own: &Secrets) -> Secrets {
        let Some(account) = self.workload.pull_secrets(self.object()).account else { return Vec::new() };
        match reader.of_account(self.namespace(), &account).await {
            Ok(mut named) => {
                named.retain(|name| own.iter().all(|(own, _)| own != name));
                self.read(reader, named).await
            }
            Err(why) => vec![(format!("service account {account}"), Err(why))],
        }
    }

    async fn read(&self, reader: &PullSecrets, mut names: Vec<String>) -> Secrets {
        names.truncate(SECRETS);
        let read = names.into_iter().map(async |name| {
            let read = reader.named(self.namespace(), &name).await;
            (name, read.map(Arc::new))
        });
        futures_util::future::join_all(read).await
    }

    fn object(&self) -> &str {
        self.request.object.map_or("", |object| object.get())
    }

    fn namespace(&self) -> &str {
        self.request.namespace.as_deref().unwrap_or_default()
    }
}

/// What was tried in vain.
struct Tried {
    left: usize,
    why: Vec<String>,
}

impl Tried {
    fn said(self, name: &Name) -> String {
        if self.why.is_empty() {
            return format!("no pull secrets are named, and {name} is given to nobody without");
        }
        format!("no pull secret opens {name}: {}", self.why.join("; "))
    }
}
