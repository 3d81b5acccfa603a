//! The scenarios of policy-controller's own end-to-end tests, at the admission door: what its scripts do with `kubectl` and a
//! cluster is done here with reviews, and what they look for in the answers is looked for. Two of theirs prove nothing, since
//! they never reach the webhook or match no image; here they do. What other tests have is theirs: programs in CUE (`e2e/cue.rs`),
//! sources, configuration files (`policies.rs`), trust roots (`trust.rs`, `formats.rs`), the objects themselves (`policy_objects.rs`).

use oci::Digest;
use serde_json::{Value, json};
use testkit::authority::{
    KeyKind, ManagedKey, Recipe, Record, SignatureManifest, Statement, attestation_manifest,
};

use super::admission_updates::{update, validated};
use super::stage::{Gateway, HOST, Stage, pod, release, review};

const REPOSITORY: &str = "acme/app";
const CUSTOM: &str = "https://cosign.sigstore.dev/attestation/v1";

/// A policy over all images of the stage, with the rest of its specification in YAML flow style.
fn policy(name: &str, authorities: &str, more: &str) -> String {
    format!(
        "{{apiVersion: policy.sigstore.dev/v1beta1, kind: ClusterImagePolicy, metadata: {{name: {name}}}, \
         spec: {{images: [{{glob: '{HOST}/**'}}], authorities: [{authorities}]{more}}}}}"
    )
}

fn keyless(subject: &str) -> String {
    format!(
        "{{name: keyless, keyless: {{identities: [{{issuer: 'https://token.actions.githubusercontent.com', \
         subjectRegExp: '{subject}'}}]}}}}"
    )
}

fn key(name: &str, key: &ManagedKey, more: &str) -> String {
    format!("{{name: {name}, key: {{data: \"{}\"}}{more}}}", key.public_pem().replace('\n', "\\n"))
}

/// The stage with these policies and no others.
struct Scene {
    stage: Stage,
    gateway: Gateway,
}

impl Scene {
    async fn new() -> Self {
        let stage = Stage::new().await;
        std::fs::remove_file(stage.directory.path().join("policies/acme.yaml")).unwrap();
        let gateway = stage.gateway().await;
        Self { stage, gateway }
    }

    async fn under(&self, policies: &[(&str, &str)]) {
        let directory = self.stage.directory.path().join("policies");
        for file in std::fs::read_dir(&directory).unwrap() {
            std::fs::remove_file(file.unwrap().path()).unwrap();
        }
        for (name, text) in policies {
            self.stage.policy(&format!("{name}.yaml"), text);
        }
        self.gateway.reload().await;
    }

    fn image(&self, seed: u64) -> Digest {
        self.stage.unsigned(seed, REPOSITORY, "v1").digest()
    }

    fn sign_by_key(&self, digest: &Digest, key: &ManagedKey) {
        let recipe =
            Recipe::image(digest, &format!("{HOST}/{REPOSITORY}")).by_key(key).recorded(Record::Nowhere);
        self.stage.attach(REPOSITORY, digest, &[self.stage.authority.mint(&recipe).layer()]);
    }

    /// Leaves attestations under cosign's tag: by whom, and the predicate.
    fn attest(&self, digest: &Digest, all: &[(&ManagedKey, Value)]) {
        let layer = |(key, predicate): &(&ManagedKey, Value)| {
            let statement = Statement::new(digest, CUSTOM, predicate.clone());
            self.stage
                .authority
                .mint(&Recipe::statement(statement).by_key(key).recorded(Record::Nowhere))
                .layer()
        };
        let manifest = attestation_manifest(&all.iter().map(layer).collect::<Vec<_>>());
        self.stage.origin.put_blob(REPOSITORY, manifest.config.clone());
        for payload in &manifest.payloads {
            self.stage.origin.put_blob(REPOSITORY, payload.clone());
        }
        let tag = SignatureManifest::attestation_tag_for(digest);
        let media_type = manifest.media_type.as_str();
        self.stage.origin.put_manifest(REPOSITORY, Some(&tag), media_type, manifest.manifest.clone());
        // What was not there a moment ago is believed not to be for a while; here nobody waits for that.
    }

    async fn denial(&self, digest: &Digest) -> String {
        let job = json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "demo"},
            "spec": {"template": {"spec": {"containers": [{"name": "c", "image": format!("{HOST}/{REPOSITORY}@{digest}")}]}}},
        });
        let response = validated(&self.gateway, &review(&job)).await;
        response["status"]["message"].as_str().unwrap_or_default().to_owned()
    }

    #[track_caller]
    fn says(denial: &str, words: &str) {
        assert!(denial.contains(words), "{words}: {denial}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_image_policy() {
    let scene = Scene::new().await;
    let (signed, unsigned, by_key) = (scene.image(1), scene.image(2), scene.image(3));
    scene.stage.sign(REPOSITORY, &signed, &release());
    let ours = ManagedKey::seeded("ours");
    scene.sign_by_key(&by_key, &ours);
    let release_only = policy("keyless", &keyless("https://github.com/acme/.*"), "");
    let (fail, pass) = (
        policy("fail", "{static: {action: fail, message: not today}}", ""),
        policy("pass", "{static: {action: pass}}", ""),
    );

    scene.under(&[("keyless", &release_only)]).await;
    assert_eq!(scene.denial(&signed).await, "");
    Scene::says(&scene.denial(&unsigned).await, "no signatures found");
    scene.under(&[("keyless", &release_only), ("fail", &fail)]).await;
    Scene::says(&scene.denial(&signed).await, "disallowed by static policy: not today");
    scene.under(&[("keyless", &release_only), ("fail", &fail), ("pass", &pass)]).await;
    Scene::says(&scene.denial(&signed).await, "disallowed by static policy");
    scene.under(&[("keyless", &release_only), ("pass", &pass)]).await;
    assert_eq!(scene.denial(&signed).await, "");

    scene.under(&[("keyless", &policy("other", &keyless("https://github.com/other/.*"), ""))]).await;
    Scene::says(
        &scene.denial(&signed).await,
        "none of the expected identities matched what was in the certificate",
    );

    scene.under(&[("key", &policy("key", &key("ours", &ours, ""), ""))]).await;
    Scene::says(&scene.denial(&unsigned).await, "no signatures found");
    assert_eq!(scene.denial(&by_key).await, "");
    let either = format!("{}, {}", key("ours", &ours, ""), keyless("https://github.com/acme/.*"));
    scene.under(&[("either", &policy("either", &either, ""))]).await;
    for digest in [&signed, &by_key] {
        assert_eq!(scene.denial(digest).await, "");
    }
    assert_ne!(scene.denial(&unsigned).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_image_policy_with_attestations_two_signatures_and_two_attestations() {
    // Theirs is switched off: with CUE as they evaluate it, it passes where an attestation is missing.
    let scene = Scene::new().await;
    let (one, two) = (ManagedKey::seeded("one"), ManagedKey::seeded("two"));
    let attested = format!(", attestations: [{{name: custom, predicateType: '{CUSTOM}'}}]");
    let authorities = [
        key("one", &one, ""),
        key("two", &two, ""),
        key("one-attests", &one, &attested),
        key("two-attests", &two, &attested),
    ]
    .join(", ");
    let all = "['one', 'two', 'one-attests', 'two-attests'].all(name, name in authorityMatches)";
    let program = format!(", policy: {{type: cel, data: \"{all}\"}}");
    scene.under(&[("both", &policy("both", &authorities, &program))]).await;

    let layer = |digest: &Digest, key: &ManagedKey| {
        let recipe =
            Recipe::image(digest, &format!("{HOST}/{REPOSITORY}")).by_key(key).recorded(Record::Nowhere);
        scene.stage.authority.mint(&recipe).layer()
    };
    let predicate = || json!({"Data": "foobar e2e test"});
    for (seed, signers, attesters, allowed) in [
        (1, vec![&one, &two], vec![&one, &two], true),
        (2, vec![&one, &two], vec![&one], false),
        (3, vec![&one], vec![&one, &two], false),
        (4, vec![&one, &two], vec![], false),
        (5, vec![], vec![&one, &two], false),
    ] {
        let digest = scene.image(seed);
        if !signers.is_empty() {
            let layers: Vec<_> = signers.iter().map(|key| layer(&digest, key)).collect();
            scene.stage.attach(REPOSITORY, &digest, &layers);
        }
        if !attesters.is_empty() {
            let attestations: Vec<_> = attesters.into_iter().map(|key| (key, predicate())).collect();
            scene.attest(&digest, &attestations);
        }
        let denial = scene.denial(&digest).await;
        assert_eq!(denial.is_empty(), allowed, "{seed}: {denial}");
        assert!(
            allowed || denial.contains("failed evaluating cel policy for ClusterImagePolicy"),
            "{denial}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_image_policy_with_attestations_rego() {
    let scene = Scene::new().await;
    let ours = ManagedKey::seeded("ours");
    let rego = "package sigstore\\nisCompliant { input.predicate.Data == \\\"foobar e2e test\\\" }";
    let wanted = format!(
        ", attestations: [{{name: custom-match-predicate, predicateType: '{CUSTOM}', policy: {{type: rego, data: \"{rego}\"}}}}]"
    );
    scene.under(&[("rego", &policy("rego", &key("ours", &ours, &wanted), ""))]).await;
    let (none, wrong, both) = (scene.image(1), scene.image(2), scene.image(3));
    scene.attest(&wrong, &[(&ours, json!({"Data": "other"}))]);
    scene.attest(&both, &[(&ours, json!({"Data": "other"})), (&ours, json!({"Data": "foobar e2e test"}))]);
    Scene::says(&scene.denial(&none).await, "no matching attestations");
    Scene::says(
        &scene.denial(&wrong).await,
        "failed evaluating rego policy for type custom-match-predicate: policy is not compliant for query",
    );
    assert_eq!(scene.denial(&both).await, "", "any of them may satisfy");
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_image_policy_with_oci11_attestations_that_are_verified() {
    // Theirs runs where nobody asks the webhook, and what it would find it takes for granted.
    let scene = Scene::new().await;
    let (ours, other) = (ManagedKey::seeded("ours"), ManagedKey::generate(KeyKind::EcdsaP256));
    let wanted = format!(", attestations: [{{name: custom, predicateType: '{CUSTOM}'}}]");
    scene.under(&[("key", &policy("key", &key("ours", &ours, &wanted), ""))]).await;
    for (seed, by, allowed) in [(1, &ours, true), (2, &other, false)] {
        let image = scene.stage.unsigned(seed, REPOSITORY, "v1");
        let statement = Statement::new(&image.digest(), CUSTOM, json!({"Data": "x"}));
        let envelope =
            scene.stage.authority.mint(&Recipe::statement(statement).by_key(by).recorded(Record::Nowhere));
        let manifest = attestation_manifest(&[envelope.layer()]);
        scene.stage.origin.put_blob(REPOSITORY, manifest.config.clone());
        for payload in &manifest.payloads {
            scene.stage.origin.put_blob(REPOSITORY, payload.clone());
        }
        let mut referrer: Value = serde_json::from_slice(&manifest.manifest).unwrap();
        referrer["artifactType"] = json!("application/vnd.in-toto+json");
        referrer["subject"] = json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": image.digest(),
            "size": image.manifest.len(),
        });
        let media_type = manifest.media_type.as_str();
        scene.stage.origin.put_manifest(REPOSITORY, None, media_type, referrer.to_string());
        let denial = scene.denial(&image.digest()).await;
        assert_eq!(denial.is_empty(), allowed, "{seed}: {denial}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_image_policy_with_a_key_that_signs_sha512() {
    // The pattern of theirs matches no image, and what matches none is let pass there.
    let scene = Scene::new().await;
    let ours = ManagedKey::generate(KeyKind::EcdsaP521);
    let digest = scene.image(1);
    scene.sign_by_key(&digest, &ours);
    let hashed = |algorithm: &str| {
        let pem = ours.public_pem().replace('\n', "\\n");
        policy("key", &format!("{{key: {{data: \"{pem}\", hashAlgorithm: {algorithm}}}}}"), "")
    };
    scene.under(&[("key", &hashed("sha512"))]).await;
    assert_eq!(scene.denial(&digest).await, "");
    scene.under(&[("key", &hashed("sha256"))]).await;
    Scene::says(&scene.denial(&digest).await, "failed policy: key");
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_with_scalable() {
    let scene = Scene::new().await;
    let digest = scene.image(1);
    scene
        .under(&[("keyless", &policy("image-policy-keyless", &keyless("https://github.com/acme/.*"), ""))])
        .await;
    let deployment = |replicas: u32| {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
            "spec": {"replicas": replicas, "template": {"spec": {"containers": [
                {"name": "c", "image": format!("{HOST}/{REPOSITORY}@{digest}")},
            ]}}},
        })
    };
    let scaled = |from, to| update(&deployment(from), &deployment(to), "");
    let up = validated(&scene.gateway, &scaled(2, 3)).await;
    Scene::says(
        up["status"]["message"].as_str().unwrap(),
        "failed policy: image-policy-keyless: spec.template.spec.containers",
    );
    assert_eq!(validated(&scene.gateway, &scaled(2, 1)).await["allowed"], json!(true));
    // Signed, and asked for by those who have not been told that it is not.
    scene.gateway.purge(&digest).await;
    scene.stage.sign(REPOSITORY, &digest, &release());
    assert_eq!(validated(&scene.gateway, &scaled(2, 3)).await["allowed"], json!(true));
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_image_policy_with_include_spec_objectmeta_and_typemeta() {
    let scene = Scene::new().await;
    let image = format!("{HOST}/{REPOSITORY}@{}", scene.image(1));
    let mut object = pod(&[&image]);
    object["metadata"]["labels"] = json!({"foo": "bar"});
    object["spec"]["serviceAccount"] = json!("default");
    for (include, program, allowed) in [
        ("includeSpec", "spec.serviceAccount == 'default'", true),
        ("includeSpec", "spec.serviceAccount == 'non-default'", false),
        ("includeObjectMeta", "metadata.labels.foo == 'bar'", true),
        ("includeObjectMeta", "metadata.labels.foo == 'non-bar'", false),
        ("includeTypeMeta", "typemeta.kind == 'Pod'", true),
        ("includeTypeMeta", "typemeta.kind == 'Job'", false),
    ] {
        let program = format!(", policy: {{type: cel, data: \"{program}\", {include}: true}}");
        scene.under(&[("static", &policy("static", "{static: {action: pass}}", &program))]).await;
        let response = validated(&scene.gateway, &review(&object)).await;
        assert_eq!(response["allowed"], json!(allowed), "{program}: {response}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_image_policy_with_tsa() {
    let scene = Scene::new().await;
    let (ours, digest) = (ManagedKey::seeded("ours"), scene.image(1));
    let recipe =
        Recipe::image(&digest, &format!("{HOST}/{REPOSITORY}")).by_key(&ours).recorded(Record::Nowhere);
    scene.stage.attach(REPOSITORY, &digest, &[scene.stage.authority.mint(&recipe.stamped()).layer()]);
    let root = |trusted: &str| {
        use base64::Engine as _;
        let root: Value = serde_json::from_str(trusted).unwrap();
        let chain = |authority: &Value| {
            let pem: Vec<_> = authority["certChain"]["certificates"]
                .as_array()
                .unwrap()
                .iter()
                .map(|certificate| {
                    let der = certificate["rawBytes"].as_str().unwrap();
                    format!("-----BEGIN CERTIFICATE-----\n{der}\n-----END CERTIFICATE-----\n")
                })
                .collect();
            base64::engine::general_purpose::STANDARD.encode(pem.concat())
        };
        let authority = &root["timestampAuthorities"][0];
        format!(
            "{{apiVersion: policy.sigstore.dev/v1alpha1, kind: TrustRoot, metadata: {{name: tsa}}, spec: {{sigstoreKeys: \
             {{timestampAuthorities: [{{subject: {{organization: o, commonName: c}}, uri: 'https://tsa.example', certChain: {}}}]}}}}}}",
            chain(authority)
        )
    };
    let by_tsa = policy("tsa", &key("ours", &ours, ", rfc3161timestamp: {trustRootRef: tsa}"), "");
    scene.under(&[("tsa", &by_tsa), ("root", &root(&scene.stage.authority.trusted_root()))]).await;
    assert_eq!(scene.denial(&digest).await, "");
    let stranger = testkit::authority::Authority::new("stranger").trusted_root();
    scene.under(&[("tsa", &by_tsa), ("root", &root(&stranger))]).await;
    Scene::says(&scene.denial(&digest).await, "failed policy: tsa");
}

#[tokio::test(flavor = "multi_thread")]
async fn policy_controller() {
    let scene = Scene::new().await;
    scene.under(&[]).await;
    let image = format!("{HOST}/{REPOSITORY}@{}", scene.image(1));
    let template = json!({"spec": {"containers": [{"name": "c", "image": image}]}});
    let objects = [
        pod(&[&image]),
        json!({"apiVersion": "batch/v1", "kind": "Job", "spec": {"template": template}}),
        json!({"apiVersion": "batch/v1", "kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": template}}}}),
    ];
    let config = "{apiVersion: v1, kind: ConfigMap, metadata: {name: config-policy-controller, namespace: cosign-system}, \
                  data: {no-match-policy: allow}}";
    for allowed in [false, true] {
        if allowed {
            scene.under(&[("config", config)]).await;
        }
        for object in &objects {
            let response = validated(&scene.gateway, &review(object)).await;
            assert_eq!(response["allowed"], json!(allowed), "{response}");
            if !allowed {
                Scene::says(response["status"]["message"].as_str().unwrap(), "no matching policies");
            }
        }
    }
}
