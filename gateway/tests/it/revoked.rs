//! What becomes of downloads when policies change while they are under way.

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use oci::Digest;
use testkit::image::{Image, index_of};

use super::stage::{Gateway, HOST, POLICY, Stage, release};

/// More than what lies between the gateway and a client that does not read.
const SIZE: usize = 32 * 1024 * 1024;

/// A signed image of one large layer, which is on the gateway's disk.
struct Scene {
    stage: Stage,
    gateway: Gateway,
    image: Image,
}

/// A download of the layer of which the first bytes have come.
struct Download {
    first: usize,
    rest: hyper::body::Incoming,
}

impl Scene {
    async fn new() -> Self {
        let stage = Stage::new().await;
        let image = Image::of(vec![Bytes::from(vec![7; SIZE])]);
        image.push_to(&stage.origin, "acme/big", Some("v1"));
        stage.sign("acme/big", &image.digest(), &release());
        let gateway = stage.gateway().await;
        let scene = Self { stage, gateway, image };
        assert_eq!(scene.gateway.get(&scene.manifest()).await.status, 200);
        assert_eq!(scene.gateway.get(&scene.layer()).await.bytes().len(), SIZE);
        scene
    }

    fn manifest(&self) -> String {
        format!("/v2/{HOST}/acme/big/manifests/{}", self.image.digest())
    }

    fn layer(&self) -> String {
        format!("/v2/{HOST}/acme/big/blobs/{}", Digest::of(&self.image.layers[0]))
    }

    async fn download(&self) -> Download {
        let uri = format!("http://{}{}", self.gateway.registry(), self.layer()).parse().unwrap();
        let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
        let mut rest = client.get(uri).await.unwrap().into_body();
        let first = rest.frame().await.unwrap().unwrap().into_data().unwrap().len();
        Download { first, rest }
    }

    /// Waits until a policy that was just written is in force for new requests.
    async fn denied(&self) {
        for _ in 0..600 {
            if self.gateway.get(&self.manifest()).await.status == 403 {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("it is still allowed");
    }
}

impl Download {
    /// How much comes in all, and whether that is all that was announced.
    async fn end(mut self) -> (usize, bool) {
        let mut size = self.first;
        while let Some(frame) = self.rest.frame().await {
            match frame {
                Ok(frame) => size += frame.into_data().unwrap().len(),
                Err(_) => return (size, false),
            }
        }
        (size, true)
    }
}

fn revocation(what: &str) -> String {
    format!(
        "apiVersion: policy.countersign.dev/v1alpha1\nkind: Revocation\nmetadata: {{name: r}}\n\
         spec: {{reason: stolen, {what}}}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_cuts_the_download_of_what_it_revokes() {
    for by_identity in [false, true] {
        let scene = Scene::new().await;
        let download = scene.download().await;
        let what = if by_identity {
            let identity = release();
            let (issuer, subject) = (&identity.issuer, identity.subject.as_str());
            format!("identities: [{{issuer: '{issuer}', subject: '{subject}'}}]")
        } else {
            format!("digests: [{{digest: '{}'}}]", scene.image.digest())
        };
        scene.stage.policy("revocation.yaml", &revocation(&what));
        scene.denied().await;
        let (size, whole) = download.end().await;
        assert!(size < SIZE && !whole, "{size} bytes came: {what}");
        assert_eq!(scene.gateway.get(&scene.layer()).await.status, 404);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_of_something_else_cuts_nothing() {
    let scene = Scene::new().await;
    let other = scene.stage.signed(2, "acme/app", "v1");
    let path = format!("/v2/{HOST}/acme/app/manifests/v1");
    assert_eq!(scene.gateway.get(&path).await.status, 200);
    let download = scene.download().await;
    let what = format!("digests: [{{digest: '{}'}}]", other.digest());
    scene.stage.policy("revocation.yaml", &revocation(&what));
    while scene.gateway.get(&path).await.status != 403 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(download.end().await, (SIZE, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_changes_stops_new_requests_and_cuts_nothing() {
    let scene = Scene::new().await;
    let download = scene.download().await;
    scene.stage.policy("acme.yaml", &POLICY.replace("release.yaml", "another.yaml"));
    scene.denied().await;
    assert_eq!(scene.gateway.get(&scene.layer()).await.status, 404);
    assert_eq!(download.end().await, (SIZE, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_revoked_is_let_out_by_no_index_that_lists_it() {
    let stage = Stage::new().await;
    let index = index_of(&[Image::random(1), Image::random(2)]);
    index.push_to(&stage.origin, "acme/multi", Some("v1"));
    stage.sign("acme/multi", &index.digest(), &release());
    let what = format!("digests: [{{digest: '{}'}}]", index.images[0].digest());
    stage.policy("revocation.yaml", &revocation(&what));
    let gateway = stage.gateway().await;
    let status = async |what: &str, digest: Digest| {
        gateway.get(&format!("/v2/{HOST}/acme/multi/{what}/{digest}")).await.status.as_u16()
    };
    assert_eq!(status("manifests", index.digest()).await, 200);
    for (image, manifest, blob) in [(&index.images[0], 403, 404), (&index.images[1], 200, 200)] {
        assert_eq!(status("manifests", image.digest()).await, manifest);
        assert_eq!(status("blobs", Digest::of(&image.layers[0])).await, blob);
    }
}
