use super::*;

fn mirror(registry: &str) -> Mirror {
    let upstreams = ["docker.io", "ghcr.io", "registry.example:5000"];
    Mirror {
        registry: registry.parse().unwrap(),
        upstreams: upstreams.iter().map(|host| Registry { names: vec![host.parse().unwrap()] }).collect(),
        ca: Some("-----BEGIN CERTIFICATE-----\n".to_owned()),
        client: Some(Client { certificate: "the certificate".to_owned(), key: "the key".to_owned() }),
    }
}

fn file<'a>(written: &'a Written, path: &str) -> &'a str {
    let names: Vec<_> = written.files.iter().map(|file| &file.path).collect();
    let file = written.files.iter().find(|file| file.path == path);
    &file.unwrap_or_else(|| panic!("{path} is none of {names:?}")).text
}

/// A file without the comments at its head.
fn said(text: &str) -> String {
    text.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect()
}

#[test]
fn containerd_is_told_of_no_host_but_the_gateway() {
    let written = mirror("https://gateway.example:5000").write(Runtime::Containerd);
    let text = file(&written, "etc/containerd/certs.d/_default/hosts.toml");
    assert_eq!(
        said(text),
        "server = \"https://gateway.example:5000\"\n\
         ca = \"/etc/countersign/ca.crt\"\n\
         client = [[\"/etc/countersign/client.crt\", \"/etc/countersign/client.key\"]]\n\
         \n\
         [host.\"https://gateway.example:5000\"]\n\
         capabilities = [\"pull\", \"resolve\"]\n\
         ca = \"/etc/countersign/ca.crt\"\n\
         client = [[\"/etc/countersign/client.crt\", \"/etc/countersign/client.key\"]]\n"
    );
    for directory in ["docker.io", "ghcr.io", "registry.example_5000_"] {
        assert_eq!(file(&written, &format!("etc/containerd/certs.d/{directory}/hosts.toml")), text);
    }
    assert!(written.conditions.iter().any(|condition| condition.contains("config_path")));
}

#[test]
fn registries_are_blocked_and_mirrored_and_the_others_rejected() {
    let written = mirror("https://gateway.example").write(Runtime::Crio);
    let text = file(&written, "etc/containers/registries.conf.d/99-countersign.conf");
    let entry = "[[registry]]\nprefix = \"docker.io\"\nlocation = \"docker.io\"\nblocked = true\n\n\
                 [[registry.mirror]]\nlocation = \"gateway.example/docker.io\"\n";
    assert!(text.contains(entry), "{text}");
    assert!(text.contains("prefix = \"registry-1.docker.io\""), "{text}");
    assert!(!text.contains("insecure"), "{text}");
    let policy: serde_json::Value =
        serde_json::from_str(file(&written, "etc/containers/policy.json")).unwrap();
    let docker = &policy["transports"]["docker"];
    assert_eq!(docker[""][0]["type"], "reject");
    assert_eq!(docker["registry.example:5000"][0]["type"], "insecureAcceptAnything");
    assert_eq!(docker["gateway.example"][0]["type"], "insecureAcceptAnything");
    assert_eq!(file(&written, "etc/containers/certs.d/gateway.example/client.cert"), "the certificate");
    assert!(written.files.iter().find(|file| file.path.ends_with("client.key")).unwrap().secret);
}

#[test]
fn a_registry_with_a_port_is_mirrored_by_another_name_or_not_at_all() {
    let mut mirror = mirror("https://gateway.example");
    let text = |mirror: &Mirror| {
        let written = mirror.write(Runtime::Podman);
        let text = file(&written, "etc/containers/registries.conf.d/99-countersign.conf").to_owned();
        (
            text,
            written.conditions.iter().any(|condition| condition.contains("registry.example:5000 has a port")),
        )
    };
    let alone = "prefix = \"registry.example:5000\"\nlocation = \"registry.example:5000\"\nblocked = true\n";
    let (written, said) = text(&mirror);
    assert!(written.ends_with(alone) && said, "{written}");
    mirror.upstreams[2].names.push("plain.example".parse().unwrap());
    let (written, said) = text(&mirror);
    let mirrored = format!("{alone}\n[[registry.mirror]]\nlocation = \"gateway.example/plain.example\"\n");
    assert!(written.contains(&mirrored) && !said, "{written}");
}

#[test]
fn k3s_is_told_that_there_is_no_default_endpoint() {
    let written = mirror("https://gateway.example:5000").write(Runtime::K3s);
    assert_eq!(
        said(file(&written, "etc/rancher/k3s/config.yaml.d/50-countersign.yaml")),
        "disable-default-registry-endpoint: true\n"
    );
    let text = said(file(&written, "etc/rancher/k3s/registries.yaml"));
    let read: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
    let endpoint = serde_json::json!({"endpoint": ["https://gateway.example:5000"]});
    assert_eq!((&read["mirrors"]["*"], &read["mirrors"]["docker.io"]), (&endpoint, &endpoint));
    assert_eq!(read["configs"]["gateway.example:5000"]["tls"]["key_file"], "/etc/countersign/client.key");
}

#[test]
fn talos_skips_the_fallback_and_holds_the_certificates_itself() {
    let written = mirror("https://gateway.example").write(Runtime::Talos);
    let text = said(file(&written, "talos/countersign.yaml"));
    let read: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
    let registries = &read["machine"]["registries"];
    assert_eq!(registries["mirrors"]["*"]["skipFallback"], true);
    assert_eq!(registries["mirrors"]["ghcr.io"]["endpoints"][0], "https://gateway.example");
    assert_eq!(registries["config"]["gateway.example"]["tls"]["clientIdentity"]["key"], "dGhlIGtleQ==");
    assert!(written.files[0].secret);
}

#[test]
fn what_cannot_be_closed_is_said() {
    let holes = |registry: &str, runtime| mirror(registry).write(runtime).holes.join("\n");
    assert!(holes("https://gateway.example", Runtime::DockerMirrors).contains("cannot be closed"));
    assert_eq!(holes("https://gateway.example", Runtime::Docker), "");
    assert_eq!(holes("http://127.0.0.1:5000", Runtime::Containerd), "");
    assert!(holes("http://gateway.example", Runtime::Containerd).contains("plain HTTP"));
    let conditions = mirror("https://gateway.example").write(Runtime::Talos).conditions.join("\n");
    assert!(
        conditions.contains("egress")
            && conditions.contains("auth.docker.io")
            && conditions.contains("ghcr.io")
    );
}

#[test]
fn a_key_is_in_no_account_of_itself() {
    assert!(!format!("{:?}", mirror("https://gateway.example")).contains("the key"));
}
