//! What one tenant may read and another may not.

use oci::Digest;
use testkit::authority::SignatureManifest;
use testkit::registry::Fault;

use super::{Two, nightly, of, pull, pull_with, user_of};
use crate::stage::{Gateway, HOST, Reply, release};

/// A method, a path and headers.
type Question = (&'static str, String, Vec<(&'static str, String)>);

/// A private image of `a` that both tenants' policies allow, and every question that could be asked about it.
struct Private {
    two: Two,
    digest: Digest,
    layer: Digest,
    bytes: usize,
}

impl Private {
    async fn new() -> Self {
        let two = Two::new().await;
        let image = two.stage.unsigned(1, "acme/private-a", "v1");
        let digest = image.digest();
        let layers = [&release(), &nightly()]
            .map(|identity| two.stage.authority.sign(&digest, &format!("{HOST}/acme/private-a"), identity));
        two.stage.attach("acme/private-a", &digest, &layers);
        let layer = image.blobs().next().unwrap();
        Self { layer: Digest::of(layer), bytes: layer.len(), digest, two }
    }

    fn questions(&self) -> Vec<Question> {
        let (digest, layer) = (&self.digest, &self.layer);
        let private = |what: String| of("acme/private-a", &what);
        let mut all = vec![
            ("GET", private("manifests/v1".into()), vec![]),
            ("HEAD", private("manifests/v1".into()), vec![]),
            ("GET", private(format!("manifests/{digest}")), vec![]),
            ("HEAD", private(format!("manifests/{digest}")), vec![]),
            ("GET", private(format!("manifests/{digest}")), vec![("if-none-match", format!("\"{digest}\""))]),
            ("GET", private(format!("blobs/{layer}")), vec![]),
            ("HEAD", private(format!("blobs/{layer}")), vec![]),
            ("GET", private(format!("blobs/{layer}")), vec![("range", "bytes=0-9".to_owned())]),
            ("GET", private(format!("blobs/{layer}")), vec![("if-none-match", format!("\"{layer}\""))]),
            ("GET", private(format!("referrers/{digest}")), vec![]),
            ("GET", private("tags/list".into()), vec![]),
            ("GET", private(format!("manifests/{}", SignatureManifest::tag_for(digest))), vec![]),
        ];
        let ns = format!("/v2/acme/private-a/manifests/{digest}?ns={HOST}");
        all.push(("GET", ns, vec![]));
        all
    }

    async fn ask(&self, gateway: &Gateway, tenant: &str) -> Vec<Reply> {
        let mut replies = Vec::new();
        for (method, path, headers) in self.questions() {
            let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, &**value)).collect();
            replies.push(pull_with(gateway, method, tenant, &path, &headers).await);
        }
        replies
    }

    /// That a tenant gets nothing, nor is told more than that.
    async fn is_nothing_to(&self, gateway: &Gateway, tenant: &str, when: &str) {
        for (reply, question) in self.ask(gateway, tenant).await.iter().zip(self.questions()) {
            assert!(matches!(reply.status.as_u16(), 403 | 404), "{when} {question:?}: {reply:?}");
            assert!(reply.headers.get("docker-content-digest").is_none(), "{when} {question:?}: {reply:?}");
        }
    }

    /// Pulls it as a client does.
    async fn is_pulled(&self, gateway: &Gateway, tenant: &str) {
        let reply = pull(gateway, tenant, &of("acme/private-a", "manifests/v1")).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let reply = pull(gateway, tenant, &of("acme/private-a", &format!("blobs/{}", self.layer))).await;
        assert_eq!((reply.status.as_u16(), reply.bytes().len()), (200, self.bytes), "{reply:?}");
    }
}

#[tokio::test]
async fn a_private_image_of_one_tenant_is_nothing_to_another_before_during_and_after_its_pull() {
    let private = Private::new().await;
    let gateway = private.two.gateway().await;
    private.is_nothing_to(&gateway, "b", "before").await;
    private.is_pulled(&gateway, "a").await;
    private.is_nothing_to(&gateway, "b", "after").await;
    // While a layer of another image arrives for a.
    let image = private.two.stage.unsigned(2, "acme/private-a", "v2");
    private.two.stage.sign("acme/private-a", &image.digest(), &release());
    let layer = Digest::of(image.blobs().next().unwrap());
    assert_eq!(pull(&gateway, "a", &of("acme/private-a", "manifests/v2")).await.status, 200);
    let path = format!("/v2/acme/private-a/blobs/{layer}");
    let hung = path.clone();
    private.two.stage.origin.fault_times(
        1,
        move |seen| seen.path == hung && user_of(seen).is_some(),
        Fault::Hang,
    );
    let asked = of("acme/private-a", &format!("blobs/{layer}"));
    let (arriving, refused) = tokio::join!(pull(&gateway, "a", &asked), async {
        private.two.stage.origin.reached(&path).await;
        let refused = pull(&gateway, "b", &asked).await;
        private.two.stage.origin.release();
        refused
    });
    assert_eq!((arriving.status.as_u16(), refused.status.as_u16()), (200, 404), "{refused:?}");
    // And after a restart, by either.
    gateway.stop().await;
    let gateway = private.two.gateway().await;
    private.is_nothing_to(&gateway, "b", "after a restart").await;
    private.is_pulled(&gateway, "a").await;
}

#[tokio::test]
async fn what_a_registry_gives_a_tenant_no_more_the_gateway_gives_it_no_more() {
    let private = Private::new().await;
    let gateway = private.two.gateway().await;
    private.is_pulled(&gateway, "a").await;
    for reply in private.ask(&gateway, "a").await {
        assert!(matches!(reply.status.as_u16(), 200 | 206 | 304), "{reply:?}");
    }
    private.two.rights.take("a", "acme/private-a");
    private.is_nothing_to(&gateway, "a", "after it was taken").await;
    private.two.rights.give("a", "acme/private-a");
    private.is_pulled(&gateway, "a").await;
    // Where the registry is away, what it gave stays.
    private.two.stage.origin.fault(|_| true, Fault::Reset);
    let path = of("acme/private-a", &format!("manifests/{}", private.digest));
    assert_eq!(pull(&gateway, "a", &path).await.status, 200);
}

#[tokio::test]
async fn access_that_was_proven_is_believed_for_a_while() {
    let private = Private::new().await;
    let keys = private
        .two
        .keys(&[private.two.tenant("a", "")], "")
        .replace("accessFreshness: 0s", "accessFreshness: 1h");
    let gateway = Gateway::start(&private.two.stage.configuration(&keys)).await;
    private.is_pulled(&gateway, "a").await;
    private.two.stage.origin.clear_requests();
    let path = of("acme/private-a", &format!("manifests/{}", private.digest));
    assert_eq!(pull(&gateway, "a", &path).await.status, 200);
    assert_eq!(private.two.stage.origin.requests().len(), 0);
}

#[tokio::test]
async fn bytes_that_another_tenant_brought_are_not_got_by_naming_their_digest() {
    let private = Private::new().await;
    let gateway = private.two.gateway().await;
    private.is_pulled(&gateway, "a").await;
    // A registry of b's own that says whatever b wants: an image that names the layer, and does not have it.
    let stage = &private.two.stage;
    let config = stage.origin.put_blob("acme/bait", "{}");
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config}","size":2}},"layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{}","size":{}}}]}}"#,
        private.layer, private.bytes
    );
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let bait = stage.origin.put_manifest("acme/bait", Some("v1"), media_type, manifest);
    stage.sign("acme/bait", &bait, &nightly());
    assert_eq!(pull(&gateway, "b", &of("acme/bait", "manifests/v1")).await.status, 200);
    // A range is given of the size that the manifest says, and of no byte that b's registry did not give.
    let path = of("acme/bait", &format!("blobs/{}", private.layer));
    let reply = pull(&gateway, "b", &path).await;
    assert_eq!(reply.status, 404, "{reply:?}");
    let reply = pull_with(&gateway, "GET", "b", &path, &[("range", "bytes=0-9")]).await;
    assert_eq!(reply.status, 404, "{reply:?}");
}

#[tokio::test]
async fn a_credential_is_shown_for_the_tenant_whose_it_is_and_for_no_other() {
    let private = Private::new().await;
    let two = &private.two;
    let image = two.stage.unsigned(3, "acme/private-b", "v1");
    two.stage.sign("acme/private-b", &image.digest(), &nightly());
    let gateway = two.gateway().await;
    for (tenant, other) in [("a", "b"), ("b", "a")] {
        two.stage.origin.clear_requests();
        for repository in ["acme/private-a", "acme/private-b"] {
            for what in ["manifests/v1", "tags/list", &format!("manifests/{}", private.digest)] {
                drop(pull(&gateway, tenant, &of(repository, what)).await);
            }
        }
        let image = format!("{HOST}/acme/private-{other}@{}", private.digest);
        drop(super::admit(&gateway, &format!("ns-{tenant}"), &image).await);
        let users: Vec<_> = two.stage.origin.requests().iter().filter_map(user_of).collect();
        assert!(!users.is_empty() && users.iter().all(|user| user == tenant), "{users:?}");
    }
}

#[tokio::test]
async fn a_tenant_may_be_asked_for_by_no_other_registry_than_its_own() {
    let two = Two::new().await;
    two.stage.signed(1, "library/app", "v1");
    let free = "{name: free, callers: [{hostnames: [free.mirror.example]}]}".to_owned();
    let gateway = two.gateway_with(&[two.tenant("a", ""), free]).await;
    two.stage.origin.clear_requests();
    for path in ["/v2/docker.io/library/app/manifests/v1", "/v2/library/app/manifests/v1?ns=docker.io"] {
        let reply = pull(&gateway, "a", path).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (404, "NAME_UNKNOWN".to_owned()), "{reply:?}");
    }
    assert_eq!(two.stage.origin.requests().len(), 0);
    assert_eq!(pull(&gateway, "free", "/v2/docker.io/library/app/manifests/v1").await.status, 200);
}
