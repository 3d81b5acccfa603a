//! Registries that are asked by the right of the Pods that an object makes.

use serde_json::json;
use testkit::registry::{Fault, Seen};

use super::world::{World, documented, until};
use crate::stage::{Gateway, HOST};
use crate::tenants::user_of;

/// Images that the registry gives to `a` alone, in a cluster whose gateway may read pull secrets in `shop` and nowhere else.
struct Private {
    world: World,
    signed: String,
    unsigned: String,
}

impl Private {
    async fn new() -> Self {
        let mut world = World::without_gateway().await;
        let challenge = vec![("www-authenticate", "Basic realm=\"origin\"".to_owned())];
        let refuses = |seen: &Seen| user_of(seen).as_deref() != Some("a");
        world.stage().origin.fault(refuses, Fault::StatusWith(401, challenge));
        let signed = world.stage().signed(21, "acme/private", "v1");
        world.stage().unsigned(22, "acme/private", "v0");
        let path = world.configuration("");
        let text = std::fs::read_to_string(&path).unwrap();
        let of_origin = format!("{{host: {HOST}, ");
        let admission = "admission: {listen: '127.0.0.1:0'";
        assert!(text.contains(&of_origin) && text.contains(admission), "{text}");
        let text = text
            .replace(&of_origin, &format!("{of_origin}access: passThrough, "))
            .replace(admission, &format!("{admission}, pullSecrets: true"));
        std::fs::write(&path, text).unwrap();
        for namespace in ["shop", "other"] {
            world.plane.does(&["create", "namespace", namespace]);
            world.plane.does(&["label", "namespace", namespace, "policy.sigstore.dev/include=true"]);
            world.plane.does(&["create", "serviceaccount", "default", "-n", namespace]);
        }
        world.plane.apply(&documented(include_str!("../../../../../docs/admission.md"), "pull-secrets"));
        world.plane.apply(&world.policy("v1beta1", "acme", &format!("{HOST}/acme/**")));
        world.gateway = Some(Gateway::start(&path).await);
        world.until_ready().await;
        world.hook();
        let name = |version: &str| format!("{HOST}/acme/private{version}");
        let private = Self { signed: name(&format!("@{}", signed.digest())), unsigned: name(":v0"), world };
        private.keep("shop", "regcred", HOST, "a", "password-of-a");
        private.until_policies_are_in_force().await;
        private
    }

    /// Puts a pull secret into a namespace.
    fn keep(&self, namespace: &str, name: &str, server: &str, user: &str, password: &str) {
        self.world.plane.does(&[
            "create",
            "secret",
            "docker-registry",
            name,
            "-n",
            namespace,
            &format!("--docker-server={server}"),
            &format!("--docker-username={user}"),
            &format!("--docker-password={password}"),
        ]);
    }

    /// Whether a Pod of this image that names these pull secrets would be let in: why not, otherwise.
    fn asked(&self, namespace: &str, image: &str, secrets: &[&str]) -> Result<(), String> {
        let named: Vec<_> = secrets.iter().map(|name| json!({"name": name})).collect();
        let spec = json!({"spec": {"imagePullSecrets": named}}).to_string();
        let (image, spec) = (format!("--image={image}"), format!("--overrides={spec}"));
        let output = self.world.plane.kubectl(&[
            "run",
            "asked",
            "-n",
            namespace,
            &image,
            &spec,
            "--override-type=strategic",
            "--dry-run=server",
        ]);
        if output.status.success() { Ok(()) } else { Err(String::from_utf8(output.stderr).unwrap()) }
    }

    #[track_caller]
    fn is_refused(&self, namespace: &str, image: &str, secrets: &[&str], why: &str) {
        let refusal = self.asked(namespace, image, secrets).unwrap_err();
        assert!(refusal.contains(why), "{refusal}");
    }

    async fn until_policies_are_in_force(&self) {
        let asked = async || self.asked("shop", &self.signed, &["regcred"]).is_ok();
        let why = || format!("{:?}", self.asked("shop", &self.signed, &["regcred"]));
        until("the image is not let in", asked, why).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_image_is_judged_by_the_pull_secrets_of_its_pod_and_of_no_other() {
    let private = Private::new().await;
    let plane = &private.world.plane;

    // Known here by now, and nothing to whoever has nothing to show, or the wrong thing.
    private.is_refused("shop", &private.signed, &[], "given to nobody without");
    private.is_refused("shop", &private.signed, &["absent"], "absent does not exist");
    let elsewhere = "../../shop/secrets/regcred";
    private.is_refused("shop", &private.signed, &[elsewhere], "is no name that anything has");
    private.keep("shop", "wrong", HOST, "a", "password-of-b");
    private.is_refused("shop", &private.signed, &["wrong"], "the registry's answer to wrong is");
    private.keep("shop", "elsewhere", "ghcr.io", "elsewhere", "password-of-elsewhere");
    private.is_refused("shop", &private.signed, &["elsewhere"], "elsewhere has no password for it");
    plane.does(&["create", "secret", "generic", "opaque", "-n", "shop", "--from-literal=a=b"]);
    private.is_refused("shop", &private.signed, &["opaque"], "opaque is of type \"Opaque\"");
    private.asked("shop", &private.signed, &["wrong", "elsewhere", "absent", "regcred"]).unwrap();
    let is_shown = |seen: &Seen| user_of(seen).as_deref() == Some("elsewhere");
    assert_eq!(private.world.stage().origin.count(is_shown), 0, "what is for another registry is shown here");

    // Read, and still judged.
    private.is_refused("shop", &private.unsigned, &["regcred"], "failed policy: acme");

    // The same Secret in a namespace of which nothing may be read.
    private.keep("other", "regcred", HOST, "a", "password-of-a");
    private.is_refused(
        "other",
        &private.signed,
        &["regcred"],
        "regcred could not be read: secrets \"regcred\" is forbidden",
    );

    // A tag becomes the digest that the Pod's right leads to.
    let overrides = json!({"spec": {"imagePullSecrets": [{"name": "regcred"}]}}).to_string();
    let (image, overrides) = (format!("--image={HOST}/acme/private:v1"), format!("--overrides={overrides}"));
    plane.does(&["run", "pinned", "-n", "shop", &image, &overrides, "--override-type=strategic"]);
    let pinned =
        plane.does(&["get", "pod", "pinned", "-n", "shop", "-o", "jsonpath={.spec.containers[0].image}"]);
    let (_, digest) = private.signed.split_once('@').unwrap();
    assert_eq!(pinned, format!("{HOST}/acme/private:v1@{digest}"));

    // A Secret that is gone opens nothing any more.
    plane.does(&["delete", "secret", "regcred", "-n", "shop"]);
    private.is_refused("shop", &private.signed, &["regcred"], "regcred does not exist");
    private.world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn templates_are_judged_by_the_pull_secrets_of_their_service_account() {
    let private = Private::new().await;
    let plane = &private.world.plane;
    let deployment = |name: &str| {
        ["create", "deployment", name, "-n", "shop", &format!("--image={}", private.signed)]
            .map(str::to_owned)
    };
    let create = |name: &str| plane.kubectl(&deployment(name).each_ref().map(String::as_str));
    let refused = create("early");
    assert!(!refused.status.success(), "{refused:?}");
    let patch = r#"{"imagePullSecrets": [{"name": "regcred"}]}"#;
    plane.does(&["patch", "serviceaccount", "default", "-n", "shop", "-p", patch]);
    let created = create("web");
    assert!(created.status.success(), "{created:?}");
    private.world.stop().await;
}
