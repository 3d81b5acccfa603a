//! The scenarios of policy-controller's own end-to-end tests: what its scripts do with `kubectl` and a cluster, and what they
//! look for in the answers. They are played at the admission door with reviews, and again with `kubectl` where a real API
//! server asks (`e2e/kubernetes/scenarios.rs`). Two of theirs prove nothing, since they never reach the webhook or match no
//! image; here they do. What other tests have is theirs: programs in CUE (`e2e/cue.rs`), the objects themselves
//! (`policy_objects.rs`, `e2e/kubernetes/definitions.rs`).

/// Hands all of them to a macro that plays them.
macro_rules! each_scenario {
    ($play:ident) => {
        $play!(
            cluster_image_policy,
            cluster_image_policy_no_tuf,
            cluster_image_policy_with_a_key_that_signs_sha512,
            cluster_image_policy_with_attestations_rego,
            cluster_image_policy_with_attestations_two_signatures_and_two_attestations,
            cluster_image_policy_with_fetch_config_file,
            cluster_image_policy_with_include_spec_objectmeta_and_typemeta,
            cluster_image_policy_with_oci11_attestations_that_are_verified,
            cluster_image_policy_with_source,
            cluster_image_policy_with_trustroot_bring_own_keys_and_repository,
            cluster_image_policy_with_tsa,
            cluster_image_policy_with_warn,
            cluster_with_scalable,
            policy_controller,
        );
    };
}
#[cfg(feature = "e2e")]
pub(crate) use each_scenario;

mod at_the_door;
mod scene;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oci::Digest;
use serde_json::{Value, json};
use testkit::authority::{KeyKind, ManagedKey, Recipe, Record, Statement, attestation_manifest};

pub(crate) use self::scene::{Said, Scene};
use super::stage::{HOST, pod, release};

pub(crate) const REPOSITORY: &str = "acme/app";
pub(crate) const CUSTOM: &str = "https://cosign.sigstore.dev/attestation/v1";

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

/// What is done with images that no policy matches.
fn no_match(behavior: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: config-policy-controller, namespace: cosign-system}}, \
         data: {{no-match-policy: {behavior}}}}}"
    )
}

#[track_caller]
fn says(text: &str, words: &str) {
    assert!(text.contains(words), "{words}: {text}");
}

/// A trust root as an object that has these keys.
fn root_object(name: &str, keys: &Value) -> String {
    json!({
        "apiVersion": "policy.sigstore.dev/v1alpha1", "kind": "TrustRoot", "metadata": {"name": name},
        "spec": {"sigstoreKeys": keys},
    })
    .to_string()
}

/// The PEM of what a trusted root has in DER, in base64 once more.
fn pem(label: &str, all: &[&Value]) -> String {
    let block = |der: &&Value| {
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", der["rawBytes"].as_str().unwrap())
    };
    STANDARD.encode(all.iter().map(block).collect::<String>())
}

fn authorities(list: &Value) -> Vec<Value> {
    let one = |authority: &Value| {
        let chain: Vec<_> = authority["certChain"]["certificates"].as_array().unwrap().iter().collect();
        json!({"subject": authority["subject"], "uri": authority["uri"], "certChain": pem("CERTIFICATE", &chain)})
    };
    list.as_array().unwrap().iter().map(one).collect()
}

/// A repository of The Update Framework in one file.
fn packed(files: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    let encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut archive = tar::Builder::new(encoder);
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, format!("repository/{name}"), bytes.as_slice()).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}

/// A trusted root as an object.
pub(crate) fn trust_root(name: &str, trusted: &str) -> String {
    let root: Value = serde_json::from_str(trusted).unwrap();
    let logs = |list: &str| {
        let one = |log: &Value| json!({"baseURL": log["baseUrl"], "hashAlgorithm": "sha-256", "publicKey": pem("PUBLIC KEY", &[&log["publicKey"]])});
        root[list].as_array().unwrap().iter().map(one).collect::<Vec<_>>()
    };
    let keys = json!({
        "certificateAuthorities": authorities(&root["certificateAuthorities"]), "tLogs": logs("tlogs"),
        "ctLogs": logs("ctlogs"), "timestampAuthorities": authorities(&root["timestampAuthorities"]),
    });
    root_object(name, &keys)
}

pub(crate) async fn cluster_image_policy(scene: &impl Scene) {
    let (signed, unsigned, by_key) = (scene.image(1), scene.image(2), scene.image(3));
    scene.stage().sign(REPOSITORY, &signed, &release());
    let ours = ManagedKey::seeded("ours");
    scene.sign_by_key(&by_key, &ours);
    let release_only = policy("keyless", &keyless("https://github.com/acme/.*"), "");
    let (fail, pass) = (
        policy("fail", "{static: {action: fail, message: not today}}", ""),
        policy("pass", "{static: {action: pass}}", ""),
    );

    scene.under(&[&release_only]).await;
    assert_eq!(scene.denial(&signed).await, "");
    says(&scene.denial(&unsigned).await, "no signatures found");
    scene.under(&[&release_only, &fail]).await;
    says(&scene.denial(&signed).await, "disallowed by static policy: not today");
    scene.under(&[&release_only, &fail, &pass]).await;
    says(&scene.denial(&signed).await, "disallowed by static policy");
    scene.under(&[&release_only, &pass]).await;
    assert_eq!(scene.denial(&signed).await, "");

    scene.under(&[&policy("other", &keyless("https://github.com/other/.*"), "")]).await;
    says(&scene.denial(&signed).await, "none of the expected identities matched what was in the certificate");

    scene.under(&[&policy("key", &key("ours", &ours, ""), "")]).await;
    says(&scene.denial(&unsigned).await, "no signatures found");
    assert_eq!(scene.denial(&by_key).await, "");
    let either = format!("{}, {}", key("ours", &ours, ""), keyless("https://github.com/acme/.*"));
    scene.under(&[&policy("either", &either, "")]).await;
    for digest in [&signed, &by_key] {
        assert_eq!(scene.denial(digest).await, "");
    }
    assert_ne!(scene.denial(&unsigned).await, "");
}

pub(crate) async fn cluster_image_policy_with_attestations_two_signatures_and_two_attestations(
    scene: &impl Scene,
) {
    // Theirs is switched off: with CUE as they evaluate it, it passes where an attestation is missing.
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
    scene.under(&[&policy("both", &authorities, &program)]).await;

    let layer = |digest: &Digest, key: &ManagedKey| {
        let recipe =
            Recipe::image(digest, &format!("{HOST}/{REPOSITORY}")).by_key(key).recorded(Record::Nowhere);
        scene.stage().authority.mint(&recipe).layer()
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
            scene.stage().attach(REPOSITORY, &digest, &layers);
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

pub(crate) async fn cluster_image_policy_with_attestations_rego(scene: &impl Scene) {
    let ours = ManagedKey::seeded("ours");
    let rego = "package sigstore\\nisCompliant { input.predicate.Data == \\\"foobar e2e test\\\" }";
    let wanted = format!(
        ", attestations: [{{name: custom-match-predicate, predicateType: '{CUSTOM}', policy: {{type: rego, data: \"{rego}\"}}}}]"
    );
    scene.under(&[&policy("rego", &key("ours", &ours, &wanted), "")]).await;
    let (none, wrong, both) = (scene.image(1), scene.image(2), scene.image(3));
    scene.attest(&wrong, &[(&ours, json!({"Data": "other"}))]);
    scene.attest(&both, &[(&ours, json!({"Data": "other"})), (&ours, json!({"Data": "foobar e2e test"}))]);
    says(&scene.denial(&none).await, "no matching attestations");
    says(
        &scene.denial(&wrong).await,
        "failed evaluating rego policy for type custom-match-predicate: policy is not compliant for query",
    );
    assert_eq!(scene.denial(&both).await, "", "any of them may satisfy");
}

pub(crate) async fn cluster_image_policy_with_oci11_attestations_that_are_verified(scene: &impl Scene) {
    // Theirs runs where nobody asks the webhook, and what it would find it takes for granted.
    let (ours, other) = (ManagedKey::seeded("ours"), ManagedKey::generate(KeyKind::EcdsaP256));
    let wanted = format!(", attestations: [{{name: custom, predicateType: '{CUSTOM}'}}]");
    scene.under(&[&policy("key", &key("ours", &ours, &wanted), "")]).await;
    for (seed, by, allowed) in [(1, &ours, true), (2, &other, false)] {
        let image = scene.pushed(seed);
        let statement = Statement::new(&image.digest(), CUSTOM, json!({"Data": "x"}));
        let envelope =
            scene.stage().authority.mint(&Recipe::statement(statement).by_key(by).recorded(Record::Nowhere));
        let manifest = attestation_manifest(&[envelope.layer()]);
        scene.stage().origin.put_blob(REPOSITORY, manifest.config.clone());
        for payload in &manifest.payloads {
            scene.stage().origin.put_blob(REPOSITORY, payload.clone());
        }
        let mut referrer: Value = serde_json::from_slice(&manifest.manifest).unwrap();
        referrer["artifactType"] = json!("application/vnd.in-toto+json");
        referrer["subject"] = json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": image.digest(),
            "size": image.manifest.len(),
        });
        let media_type = manifest.media_type.as_str();
        scene.stage().origin.put_manifest(REPOSITORY, None, media_type, referrer.to_string());
        let denial = scene.denial(&image.digest()).await;
        assert_eq!(denial.is_empty(), allowed, "{seed}: {denial}");
    }
}

pub(crate) async fn cluster_image_policy_with_a_key_that_signs_sha512(scene: &impl Scene) {
    // The pattern of theirs matches no image, and what matches none is let pass there.
    let ours = ManagedKey::generate(KeyKind::EcdsaP521);
    let digest = scene.image(1);
    scene.sign_by_key(&digest, &ours);
    let hashed = |algorithm: &str| {
        let pem = ours.public_pem().replace('\n', "\\n");
        policy("key", &format!("{{key: {{data: \"{pem}\", hashAlgorithm: {algorithm}}}}}"), "")
    };
    scene.under(&[&hashed("sha512")]).await;
    assert_eq!(scene.denial(&digest).await, "");
    scene.under(&[&hashed("sha256")]).await;
    says(&scene.denial(&digest).await, "failed policy: key");
}

pub(crate) async fn cluster_with_scalable(scene: &impl Scene) {
    let digest = scene.image(1);
    scene.under(&[&policy("image-policy-keyless", &keyless("https://github.com/acme/.*"), "")]).await;
    let deployment = |replicas: u32| {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "scaled"},
            "spec": {
                "replicas": replicas, "selector": {"matchLabels": {"app": "scaled"}},
                "template": {"metadata": {"labels": {"app": "scaled"}}, "spec": {"containers": [
                    {"name": "c", "image": format!("{HOST}/{REPOSITORY}@{digest}")},
                ]}},
            },
        })
    };
    let up = scene.updated(&deployment(2), &deployment(3)).await;
    says(&up.text, "failed policy: image-policy-keyless: spec.template.spec.containers");
    assert!(!up.allowed);
    assert!(scene.updated(&deployment(2), &deployment(1)).await.allowed);
    // Signed, and asked for by those who have not been told that it is not.
    scene.gateway().purge(&digest).await;
    scene.stage().sign(REPOSITORY, &digest, &release());
    assert!(scene.updated(&deployment(2), &deployment(3)).await.allowed);
}

pub(crate) async fn cluster_image_policy_with_include_spec_objectmeta_and_typemeta(scene: &impl Scene) {
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
        scene.under(&[&policy("static", "{static: {action: pass}}", &program)]).await;
        let said = scene.created(&object).await;
        assert_eq!(said.allowed, allowed, "{program}: {said:?}");
    }
}

pub(crate) async fn cluster_image_policy_with_tsa(scene: &impl Scene) {
    let (ours, digest) = (ManagedKey::seeded("ours"), scene.image(1));
    let recipe =
        Recipe::image(&digest, &format!("{HOST}/{REPOSITORY}")).by_key(&ours).recorded(Record::Nowhere);
    scene.stage().attach(REPOSITORY, &digest, &[scene.stage().authority.mint(&recipe.stamped()).layer()]);
    let root = |trusted: &str| {
        let trusted: Value = serde_json::from_str(trusted).unwrap();
        root_object("tsa", &json!({"timestampAuthorities": authorities(&trusted["timestampAuthorities"])}))
    };
    let by_tsa = policy("tsa", &key("ours", &ours, ", rfc3161timestamp: {trustRootRef: tsa}"), "");
    scene.under(&[&by_tsa, &root(&scene.stage().authority.trusted_root())]).await;
    assert_eq!(scene.denial(&digest).await, "");
    let stranger = testkit::authority::Authority::new("stranger").trusted_root();
    scene.under(&[&by_tsa, &root(&stranger)]).await;
    says(&scene.denial(&digest).await, "failed policy: tsa");
}

pub(crate) async fn policy_controller(scene: &impl Scene) {
    scene.under(&[]).await;
    let image = format!("{HOST}/{REPOSITORY}@{}", scene.image(1));
    let template = json!({"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": image}]}});
    let job = json!({"spec": {"template": template}});
    let objects = [
        pod(&[&image]),
        json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": job["spec"]}),
        json!({
            "apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "c"},
            "spec": {"schedule": "0 0 * * *", "jobTemplate": job},
        }),
    ];
    for object in &objects {
        let said = scene.created(object).await;
        assert!(!said.allowed, "{said:?}");
        says(&said.text, "no matching policies");
    }
    scene.under(&[&no_match("allow")]).await;
    for object in &objects {
        let said = scene.created(object).await;
        assert!(said.allowed && !said.text.contains("no matching policies"), "{said:?}");
    }
}

pub(crate) async fn cluster_image_policy_with_warn(scene: &impl Scene) {
    let object = pod(&[&format!("{HOST}/{REPOSITORY}@{}", scene.image(1))]);
    let warns = policy("image-policy-keyless-warn", &keyless("https://github.com/acme/.*"), ", mode: warn");
    scene.under(&[&warns]).await;
    let said = scene.created(&object).await;
    assert!(said.allowed, "{said:?}");
    says(&said.text, "failed policy: image-policy-keyless-warn");
    scene.under(&[&no_match("warn")]).await;
    let said = scene.created(&object).await;
    assert!(said.allowed, "{said:?}");
    says(&said.text, "no matching policies");
}

pub(crate) async fn cluster_image_policy_with_source(scene: &impl Scene) {
    let digest = scene.image(1);
    let layer = scene.stage().authority.sign(&digest, &format!("{HOST}/{REPOSITORY}"), &release());
    scene.stage().attach("signatures/all", &digest, &[layer]);
    let from = |source: &str| {
        let authority = keyless("https://github.com/acme/.*");
        let authority = authority.strip_suffix('}').unwrap();
        policy("source", &format!("{authority}, source: [{{oci: {source}}}]}}"), "")
    };
    scene.under(&[&from(&format!("{HOST}/signatures/all"))]).await;
    assert_eq!(scene.denial(&digest).await, "");
    scene.under(&[&from(&format!("{HOST}/signatures/none"))]).await;
    says(&scene.denial(&digest).await, "no signatures found");
    scene.under(&[&from(&format!("{HOST}/signatures/all, tagPrefix: sigprefix"))]).await;
    says(&scene.denial(&digest).await, "no signatures found");
}

pub(crate) async fn cluster_image_policy_with_fetch_config_file(scene: &impl Scene) {
    let digest = scene.image(1);
    for (architecture, allowed) in [("amd64", true), ("mips", false)] {
        let program = format!("config.all(platform, config[platform].architecture == '{architecture}')");
        let program = format!(", policy: {{type: cel, data: \"{program}\", fetchConfigFile: true}}");
        scene.under(&[&policy("config", "{static: {action: pass}}", &program)]).await;
        let denial = scene.denial(&digest).await;
        assert_eq!(denial.is_empty(), allowed, "{denial}");
        assert!(
            allowed || denial.contains("failed evaluating cel policy for ClusterImagePolicy"),
            "{denial}"
        );
    }
}

pub(crate) async fn cluster_image_policy_no_tuf(scene: &impl Scene) {
    let (ours, digest) = (ManagedKey::seeded("ours"), scene.image(1));
    let attested = format!(", attestations: [{{name: custom, predicateType: '{CUSTOM}'}}]");
    let (signs, attests) =
        (policy("signs", &key("ours", &ours, ""), ""), policy("attests", &key("ours", &ours, &attested), ""));
    scene.under(&[&signs]).await;
    says(&scene.denial(&digest).await, "no signatures found");
    scene.under(&[&attests]).await;
    says(&scene.denial(&digest).await, "no matching attestations");
    // Neither is in a log.
    scene.sign_by_key(&digest, &ours);
    scene.attest(&digest, &[(&ours, json!({"Data": "foobar e2e test"}))]);
    scene.gateway().purge(&digest).await;
    scene.under(&[&signs, &attests]).await;
    assert_eq!(scene.denial(&digest).await, "");
}

pub(crate) async fn cluster_image_policy_with_trustroot_bring_own_keys_and_repository(scene: &impl Scene) {
    let authority = &scene.stage().authority;
    let tuf = testkit::tuf::TufRepository::new("own", &authority.trusted_root());
    let encoded = |bytes: &[u8]| STANDARD.encode(bytes);
    let repository = format!(
        "{{apiVersion: policy.sigstore.dev/v1alpha1, kind: TrustRoot, metadata: {{name: repository}}, spec: {{repository: \
         {{root: {}, mirrorFS: {}, targets: targets}}}}}}",
        encoded(tuf.root(1)),
        encoded(&packed(&tuf.files)),
    );
    for (name, root) in
        [("own-keys", trust_root("own-keys", &authority.trusted_root())), ("repository", repository)]
    {
        let digest = scene.image(if name == "repository" { 2 } else { 1 });
        let wants = format!(
            "{{keyless: {{trustRootRef: {name}, identities: [{{issuerRegExp: '.*', subjectRegExp: '.*'}}]}}, \
             ctlog: {{trustRootRef: {name}}}, attestations: [{{name: custom, predicateType: '{CUSTOM}'}}]}}"
        );
        let wants = policy(name, &wants, "");
        scene.under(&[&root, &wants]).await;
        says(&scene.denial(&digest).await, "no matching attestations");
        for (record, allowed) in [(Record::Nowhere, false), (Record::DsseV001, true)] {
            let statement = Statement::new(&digest, CUSTOM, json!({"Data": "foobar e2e test"}));
            let recipe = Recipe::statement(statement).by(&release()).recorded(record);
            scene.leave(&digest, &[authority.mint(&recipe).layer()]);
            scene.gateway().purge(&digest).await;
            let denial = scene.denial(&digest).await;
            assert_eq!(denial.is_empty(), allowed, "{name}: {denial}");
        }
    }
}
