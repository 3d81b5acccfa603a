//! What a request shows of who sends it.

use std::net::IpAddr;
use std::sync::Arc;

use http::{Request, header};

use crate::config::Certificate;
use crate::hostname::Hostname;
use crate::login::{Fingerprint, Login};
use crate::peer::Peer;

/// Everything that a caller may be told by. What other machines say of it in headers is not among that.
#[derive(Default)]
pub(super) struct Signs {
    /// What it calls the gateway: in the request, and where it asked for a certificate. That these are one is not for
    /// granted.
    pub(super) hostnames: Vec<Hostname>,
    /// The repository that it asks for, as it spells it, if it asks for something of one.
    pub(super) repository: Option<String>,
    pub(super) certificates: Arc<[Certificate]>,
    pub(super) credential: Option<Fingerprint>,
    /// What it logs in with, if that could be a token: kubelets show theirs as a password.
    pub(super) token: Option<String>,
    pub(super) address: Option<IpAddr>,
}

impl Signs {
    /// What this request shows, and the connection that it came by.
    pub(super) fn of<B>(request: &Request<B>, peer: &Peer) -> Self {
        let by_header =
            request.headers().get_all(header::HOST).iter().map(|host| Hostname::of(host.to_str().ok()?));
        let by_uri = request.uri().authority().map(|authority| Hostname::of(authority.as_str()));
        let login = Login::shown(request.headers());
        let credential = login.as_ref().map(Login::fingerprint);
        let token = login.map(|login| match login {
            Login::Bearer(token) => token,
            Login::Basic { password, .. } => password,
        });
        let hostnames = by_header.chain(by_uri).flatten().chain(peer.called.clone()).collect();
        Self {
            hostnames,
            repository: request.uri().path().strip_prefix("/v2/").map(str::to_owned),
            certificates: peer.names.clone(),
            credential,
            token: token.filter(|token| token.matches('.').count() == 2),
            address: peer.address,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_that_a_request_calls_counts() {
        let request = Request::builder().uri("http://a.example/v2/").header("host", "B.example:5000");
        let signs = Signs::of(&request.body(()).unwrap(), &Peer::default());
        let names: Vec<_> = signs.hostnames.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["b.example", "a.example"]);
        assert_eq!(signs.repository.as_deref(), Some(""));
    }
}
