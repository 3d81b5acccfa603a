use super::*;
use crate::mirror::write::{Client, Mirror, Runtime};

const GATEWAY: &str = "https://gateway.example:5000";

fn expected() -> Expected {
    let registry =
        |names: &[&str]| Registry { names: names.iter().map(|name| name.parse().unwrap()).collect() };
    let upstreams = vec![registry(&["docker.io"]), registry(&["ghcr.io"])];
    Expected { ours: Ours::new(&[GATEWAY.parse().unwrap()]), upstreams }
}

fn holes(files: &[(&str, &str)]) -> Vec<Hole> {
    holes_by(files, &expected())
}

fn holes_by(files: &[(&str, &str)], expected: &Expected) -> Vec<Hole> {
    let directory = tempfile::TempDir::new().unwrap();
    for (path, text) in files {
        let path = directory.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let read = collect(&[directory.path().to_owned()]);
    assert!(read.unread.is_empty(), "{:?}", read.unread);
    lint(&read, expected)
}

/// These files have these holes, and no others, on these lines; 0 is no line.
#[track_caller]
fn check(files: &[(&str, &str)], wanted: &[(Kind, usize)]) {
    let found = holes(files);
    let mut kinds: Vec<(String, usize)> =
        found.iter().map(|hole| (hole.kind.name(), hole.line.unwrap_or(0))).collect();
    let mut wanted: Vec<(String, usize)> = wanted.iter().map(|(kind, line)| (kind.name(), *line)).collect();
    kinds.sort();
    wanted.sort();
    assert_eq!(kinds, wanted, "{found:#?}");
}

/// A `hosts.toml` for ghcr.io, beside a `_default` that is closed.
#[track_caller]
fn check_hosts(text: &str, wanted: &[(Kind, usize)]) {
    check(&[("certs.d/_default/hosts.toml", CLOSED), ("certs.d/ghcr.io/hosts.toml", text)], wanted);
}

const CLOSED: &str = "server = \"https://gateway.example:5000\"\n\
    [host.\"https://gateway.example:5000\"]\n\
    capabilities = [\"pull\", \"resolve\"]\n";

#[test]
fn whatever_is_written_here_has_no_holes() {
    let pem = || Some("-----BEGIN CERTIFICATE-----\n".to_owned());
    let client = || Some(Client { certificate: pem().unwrap(), key: pem().unwrap() });
    for runtime in
        [Runtime::Containerd, Runtime::Crio, Runtime::Podman, Runtime::Docker, Runtime::K3s, Runtime::Talos]
    {
        for (registry, ca, client) in [
            (GATEWAY, pem(), client()),
            ("http://127.0.0.1:5000", None, None),
            ("https://[::1]", pem(), None),
        ] {
            let mut upstreams = expected().upstreams;
            for names in [vec!["registry.example:5000"], vec!["other.example:5000", "other.example"]] {
                let names = names.iter().map(|name| name.parse().unwrap()).collect();
                upstreams.push(Registry { names });
            }
            let registry: upstream::Origin = registry.parse().unwrap();
            let mirror = Mirror { registry: registry.clone(), upstreams: upstreams.clone(), ca, client };
            let written = mirror.write(runtime);
            let files: Vec<_> =
                written.files.iter().map(|file| (file.path.as_str(), file.text.as_str())).collect();
            let expected = Expected { ours: Ours::new(std::slice::from_ref(&registry)), upstreams };
            assert_eq!(holes_by(&files, &expected), Vec::new(), "{runtime:?} {registry}");
        }
    }
}

#[test]
fn dockers_mirrors_are_a_hole_however_they_are_written() {
    let mirror = Mirror {
        registry: GATEWAY.parse().unwrap(),
        upstreams: expected().upstreams,
        ca: None,
        client: None,
    };
    let written = mirror.write(Runtime::DockerMirrors);
    check(
        &[("daemon.json", &written.files[0].text)],
        &[(Kind::RegistryMirrors, 2), (Kind::ImageStore, 0), (Kind::NotCovered, 0)],
    );
}

#[test]
fn hosts_toml_without_server_falls_back() {
    check_hosts("[host.\"https://gateway.example:5000\"]\n", &[(Kind::NoServer, 0)]);
    check_hosts("server = \"\"\n[host.\"https://gateway.example:5000\"]\n", &[(Kind::NoServer, 1)]);
}

#[test]
fn hosts_toml_without_a_host_is_misread_by_older_versions() {
    check_hosts("server = \"https://gateway.example:5000\"\n", &[(Kind::NoHost, 0)]);
    check_hosts("server = \"https://gateway.example:5000\"\n[host]\n", &[(Kind::NoHost, 2)]);
}

#[test]
fn a_server_that_is_the_registry_is_asked_at_last() {
    let host = "[host.\"https://gateway.example:5000\"]\n";
    check_hosts(&format!("server = \"https://ghcr.io\"\n{host}"), &[(Kind::OriginAsServer, 1)]);
    check_hosts(&format!("server = \"ghcr.io:443/v2\"\n{host}"), &[(Kind::OriginAsServer, 1)]);
    check_hosts(&format!("server = \"https://registry-1.docker.io\"\n{host}"), &[(Kind::OriginAsServer, 1)]);
    check_hosts(&format!("server = \"https://other.example\"\n{host}"), &[(Kind::NotOurs, 1)]);
    check_hosts(
        &format!("server = \"https://ghcr.io\"\ncapabilities = [\"push\"]\n{host}"),
        &[(Kind::OriginAsServer, 1), (Kind::RootCapabilities, 2)],
    );
}

#[test]
fn a_hosts_toml_that_cannot_be_read_counts_for_nothing() {
    check_hosts("server = \"https://gateway.example:5000\n", &[(Kind::Unparsable, 1)]);
    check_hosts(&CLOSED.replace("\"pull\"", "\"pul\""), &[(Kind::UnknownCapability, 3)]);
    check_hosts(&CLOSED.replace("\"pull\"", "\"referrers\", \"pull\""), &[(Kind::UnknownCapability, 3)]);
    check_hosts(&CLOSED.replace("[\"pull\", \"resolve\"]", "\"pull\""), &[(Kind::InvalidValue, 3)]);
    for (line, kind) in [
        ("skip_verify = \"true\"", Kind::InvalidValue),
        ("override_path = 1", Kind::InvalidValue),
        ("ca = true", Kind::InvalidValue),
        ("client = [[\"only one\"]]", Kind::InvalidValue),
        ("header = {a = 1}", Kind::InvalidValue),
        ("dial_timeout = \"5 seconds\"", Kind::InvalidValue),
        ("skip_verify = true", Kind::SkipVerify),
        ("capabilites = [\"pull\"]", Kind::IgnoredKey),
    ] {
        check_hosts(&format!("{CLOSED}{line}\n"), &[(kind, 4)]);
    }
    for line in
        ["dial_timeout = \"1m30.5s\"", "ca = [\"a\", \"b\"]", "client = \"a\"", "header = {a = [\"b\"]}"]
    {
        check_hosts(&format!("{CLOSED}{line}\n"), &[]);
    }
    check_hosts("server = 1\n[host.\"https://gateway.example:5000\"]\n", &[(Kind::InvalidValue, 1)]);
    check_hosts("server = \"https://gateway.example:5000\"\nhost = \"x\"\n", &[(Kind::InvalidValue, 2)]);
    check_hosts(
        "server = \"ftp://gateway.example\"\n[host.\"https://gateway.example:5000\"]\n",
        &[(Kind::InvalidValue, 1)],
    );
}

#[test]
fn other_hosts_are_not_ours() {
    check_hosts(&format!("{CLOSED}[host.\"https://mirror.gcr.io\"]\n"), &[(Kind::NotOurs, 4)]);
    check_hosts(&format!("{CLOSED}[host.\"https://ghcr.io\"]\n"), &[(Kind::NotOurs, 4)]);
    check_hosts(&CLOSED.replace("https", "http"), &[(Kind::PlainHttp, 1), (Kind::PlainHttp, 2)]);
}

#[test]
fn a_path_is_where_the_gateway_has_the_registry() {
    let host = |url: &str, keeps: bool| {
        format!(
            "server = \"https://gateway.example:5000\"\n[host.\"{GATEWAY}{url}\"]\noverride_path = {keeps}\n"
        )
    };
    for (url, keeps) in [
        ("", false),
        ("/", false),
        ("/v2", false),
        ("/v2", true),
        ("/v2/ghcr.io", true),
        ("/v2/ghcr.io/", true),
    ] {
        check_hosts(&host(url, keeps), &[]);
    }
    for (url, keeps) in
        [("", true), ("/v2/ghcr.io", false), ("/v2/quay.io", true), ("/ghcr.io", true), ("/mirror", false)]
    {
        check_hosts(&host(url, keeps), &[(Kind::WrongPath, 2)]);
    }
    check(&[("certs.d/_default/hosts.toml", &host("/v2/ghcr.io", true))], &[(Kind::WrongPath, 2)]);
    check(
        &[
            ("certs.d/_default/hosts.toml", CLOSED),
            ("certs.d/docker.io/hosts.toml", &host("/v2/docker.io", true)),
        ],
        &[],
    );
}

#[test]
fn a_directory_of_hosts_covers_every_registry() {
    check(&[("certs.d/docker.io/hosts.toml", CLOSED)], &[(Kind::NoDefault, 0), (Kind::NotCovered, 0)]);
    check(
        &[("hosts/docker.io/hosts.toml", CLOSED), ("hosts/ghcr.io/hosts.toml", CLOSED)],
        &[(Kind::NoDefault, 0)],
    );
    let default = ("certs.d/_default/hosts.toml", CLOSED);
    check(&[default, ("certs.d/quay.io/ca.crt", "")], &[(Kind::NoHostsFile, 0)]);
    check(&[default, ("certs.d/quay.io/hosts.toml", "")], &[(Kind::NoHostsFile, 0)]);
    check(&[default, ("certs.d/gateway.example_5000_/ca.crt", "")], &[]);
    check(
        &[
            default,
            (
                "certs.d/ghcr.io_443_/hosts.toml",
                &CLOSED.replace("server = \"https://gateway.example:5000", "server = \"https://ghcr.io"),
            ),
        ],
        &[(Kind::OriginAsServer, 1)],
    );
}

#[test]
fn containerd_has_to_be_told_where_the_directory_is() {
    let version_2 = "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".registry]\nconfig_path = \"/etc/containerd/certs.d\"\n";
    let version_3 = "version = 3\n[plugins.'io.containerd.cri.v1.images'.registry]\nconfig_path = '/etc/containerd/certs.d'\n";
    check(&[("config.toml", version_2)], &[]);
    check(&[("config.toml", version_3)], &[]);
    check(&[("config.toml", "version = 2\n")], &[(Kind::NoConfigPath, 0)]);
    check(&[("config.toml", &version_2.replace("/etc/containerd/certs.d", ""))], &[(Kind::NoConfigPath, 2)]);
    check(&[("config.toml", "version = ")], &[(Kind::Unparsable, 1)]);
    let mirrors = "[plugins.\"io.containerd.grpc.v1.cri\".registry.mirrors.\"docker.io\"]\nendpoint = [\"https://gateway.example:5000\"]\n";
    check(
        &[("config.toml", &format!("version = 2\n{mirrors}"))],
        &[(Kind::NoConfigPath, 2), (Kind::OldMirrors, 2)],
    );
    let configs = "[plugins.\"io.containerd.grpc.v1.cri\".registry.configs.\"ghcr.io\".tls]\ninsecure_skip_verify = true\n";
    check(&[("config.toml", &format!("{version_2}{configs}"))], &[(Kind::SkipVerify, 5)]);
}

const POLICY: &str = r#"{"default": [{"type": "insecureAcceptAnything"}], "transports": {"docker": {
    "": [{"type": "reject"}],
    "docker.io": [{"type": "insecureAcceptAnything"}],
    "ghcr.io": [{"type": "insecureAcceptAnything"}]}}}"#;

const DOCKER_IO: &str = "[[registry]]\nprefix = \"docker.io\"\nlocation = \"docker.io\"\nblocked = true\n\
    [[registry.mirror]]\nlocation = \"gateway.example:5000/docker.io\"\n";

/// An entry for ghcr.io, beside one for docker.io that is closed, which takes six lines.
#[track_caller]
fn check_registries(text: &str, wanted: &[(Kind, usize)]) {
    check(&[("registries.conf", &format!("{DOCKER_IO}{text}")), ("policy.json", POLICY)], wanted);
}

#[test]
fn a_registry_is_blocked_and_mirrored_or_rewritten() {
    let ghcr = DOCKER_IO.replace("docker.io", "ghcr.io");
    check_registries(&ghcr, &[]);
    check_registries(
        "[[registry]]\nprefix = \"ghcr.io\"\nlocation = \"gateway.example:5000/ghcr.io\"\n",
        &[],
    );
    check_registries("[[registry]]\nlocation = \"ghcr.io\"\nblocked = true\n", &[]);
    check_registries(&ghcr.replace("blocked = true\n", ""), &[(Kind::NotBlocked, 7)]);
    check_registries(&ghcr.replace("blocked = true", "blocked = false"), &[(Kind::NotBlocked, 7)]);
    check_registries(
        &ghcr.replace("blocked = true", "blocked = \"true\""),
        &[(Kind::InvalidValue, 10), (Kind::NotBlocked, 7)],
    );
    check_registries(&ghcr.replace("blocked", "block"), &[(Kind::IgnoredKey, 10), (Kind::NotBlocked, 7)]);
    check_registries("[[registry]]\nlocation = \"ghcr.io\"\n", &[(Kind::NotBlocked, 7)]);
    check_registries(&ghcr.replace("gateway.example:5000", "mirror.example"), &[(Kind::NotOurs, 12)]);
    check_registries(&format!("{ghcr}insecure = true\n"), &[(Kind::SkipVerify, 13)]);
    check_registries(&ghcr.replace("5000/ghcr.io", "5000"), &[(Kind::WrongPath, 12)]);
    check_registries(&ghcr.replace("5000/ghcr.io", "5000/quay.io"), &[(Kind::WrongPath, 12)]);
    // No reference has a port in its path, and one that cannot be parsed is pulled from nowhere.
    check_registries(&ghcr.replace("5000/ghcr.io", "5000/ghcr.io:443"), &[(Kind::WrongPath, 12)]);
}

#[test]
fn a_mirror_for_a_part_leaves_the_other_part_open() {
    let open = DOCKER_IO.replace("docker.io", "ghcr.io").replace("blocked = true\n", "");
    let ghcr = DOCKER_IO.replace("docker.io", "ghcr.io");
    check_registries(
        &open.replace("[[registry.mirror]]", "mirror-by-digest-only = true\n[[registry.mirror]]"),
        &[(Kind::NotBlocked, 7), (Kind::PartOnly, 10)],
    );
    for part in ["digest-only", "tag-only"] {
        let line = format!("pull-from-mirror = \"{part}\"\n");
        check_registries(&format!("{open}{line}"), &[(Kind::NotBlocked, 7), (Kind::PartOnly, 12)]);
        check_registries(&format!("{ghcr}{line}"), &[]);
    }
}

#[test]
fn registries_that_are_not_listed_are_open() {
    let ghcr = DOCKER_IO.replace("docker.io", "ghcr.io");
    check_registries("", &[(Kind::NotCovered, 0)]);
    let only = POLICY.replace("\"ghcr.io\"", "\"docker.io/acme\"");
    check(&[("registries.conf", DOCKER_IO), ("policy.json", &only)], &[]);
    check(&[("policy.json", POLICY)], &[(Kind::NotCovered, 0), (Kind::NotCovered, 0)]);
    let nothing = "{\"default\": [{\"type\": \"reject\"}]}";
    check(&[("policy.json", nothing)], &[]);
    check_registries(
        &ghcr
            .replace("prefix = \"ghcr.io\"", "prefix = \"ghcr.io/acme\"")
            .replace("5000/ghcr.io", "5000/ghcr.io/acme"),
        &[(Kind::NotCovered, 0)],
    );
    let both = format!("{DOCKER_IO}{ghcr}");
    check(&[("registries.conf", &both)], &[(Kind::Unlisted, 0)]);
    let accepts = POLICY.replace("reject", "insecureAcceptAnything");
    check(&[("registries.conf", &both), ("policy.json", &accepts)], &[(Kind::Unlisted, 0)]);
    let quay = POLICY.replace("docker.io", "quay.io/acme");
    check(&[("registries.conf", &both), ("policy.json", &quay)], &[(Kind::NotCovered, 3)]);
    let wildcard = "[[registry]]\nprefix = \"*.acme.example\"\nblocked = true\n";
    check_registries(&format!("{ghcr}{wildcard}"), &[(Kind::Wildcard, 13)]);
    let mirrored =
        format!("{wildcard}[[registry.mirror]]\nlocation = \"gateway.example:5000/acme.example\"\n");
    let parent = "[[registry]]\nlocation = \"acme.example\"\nblocked = true\n";
    check_registries(&format!("{ghcr}{mirrored}{parent}"), &[(Kind::Wildcard, 17)]);
}

#[test]
fn the_last_drop_in_is_what_is_in_force() {
    let ghcr = DOCKER_IO.replace("docker.io", "ghcr.io");
    let open = "[[registry]]\nlocation = \"ghcr.io\"\n";
    let drop_ins = |first: &str, last: &str| {
        holes(&[
            ("containers/registries.conf", DOCKER_IO),
            ("containers/registries.conf.d/10.conf", first),
            ("containers/registries.conf.d/20.conf", last),
            ("containers/policy.json", POLICY),
        ])
    };
    assert_eq!(drop_ins(open, &ghcr), Vec::new());
    let found = drop_ins(&ghcr, open);
    assert_eq!((found.len(), found[0].kind), (1, Kind::NotBlocked));
    assert!(found[0].file.ends_with("20.conf"));
}

#[test]
fn what_containers_cannot_read_is_said() {
    check(&[("registries.conf", "[[registry]\n")], &[(Kind::Unparsable, 1)]);
    check_registries(
        &format!(
            "{}[registries.search]\nregistries = ['docker.io']\n",
            DOCKER_IO.replace("docker.io", "ghcr.io")
        ),
        &[(Kind::OldFormat, 13)],
    );
    let both = format!("{DOCKER_IO}{}", DOCKER_IO.replace("docker.io", "ghcr.io"));
    check(&[("registries.conf", &both), ("policy.json", "{")], &[(Kind::Unlisted, 0), (Kind::Unparsable, 1)]);
}

#[test]
fn docker_reads_hosts_only_for_its_newer_store() {
    let hosts = ("docker/certs.d/_default/hosts.toml", CLOSED);
    let closed = "{\"features\": {\"containerd-snapshotter\": true}}";
    check(&[hosts, ("docker/daemon.json", closed)], &[]);
    check(&[("docker/daemon.json", closed)], &[(Kind::NotCovered, 0)]);
    check(&[hosts, ("docker/daemon.json", "{}")], &[(Kind::ImageStore, 0)]);
    check(&[hosts, ("docker/daemon.json", &closed.replace("true", "false"))], &[(Kind::ImageStore, 1)]);
    check(
        &[
            hosts,
            (
                "docker/daemon.json",
                &closed.replace("true}", "true},\n\"registry-mirrors\": [\"https://gateway.example:5000\"]"),
            ),
        ],
        &[(Kind::RegistryMirrors, 2)],
    );
    check(
        &[
            hosts,
            (
                "docker/daemon.json",
                &closed
                    .replace("true}", "true},\n\"insecure-registries\": [\"127.0.0.0/8\",\n\"10.0.0.0/8\"]"),
            ),
        ],
        &[(Kind::SkipVerify, 3)],
    );
    check(&[hosts, ("docker/daemon.json", "{\n,}")], &[(Kind::Unparsable, 2)]);
}

const K3S: &str = "mirrors:\n  \"*\":\n    endpoint:\n      - https://gateway.example:5000\n";

#[test]
fn k3s_has_a_default_endpoint_unless_it_is_told_otherwise() {
    let disabled = ("k3s/config.yaml", "disable-default-registry-endpoint: true\n");
    check(&[("k3s/registries.yaml", K3S), disabled], &[]);
    check(&[("k3s/registries.yaml", K3S)], &[(Kind::DefaultEndpoint, 0)]);
    check(
        &[("k3s/registries.yaml", K3S), ("k3s/config.yaml", "disable-default-registry-endpoint: false\n")],
        &[(Kind::DefaultEndpoint, 0)],
    );
    check(
        &[("k3s/registries.yaml", K3S), ("other/k3s/config.yaml", disabled.1)],
        &[(Kind::DefaultEndpoint, 0)],
    );
    check(&[("k3s/registries.yaml", &K3S.replace("gateway", "mirror")), disabled], &[(Kind::NotOurs, 4)]);
    check(&[("k3s/registries.yaml", &K3S.replace("https", "http")), disabled], &[(Kind::PlainHttp, 4)]);
    check(
        &[("k3s/registries.yaml", &K3S.replace(":5000", ":5000/v2/ghcr.io")), disabled],
        &[(Kind::WrongPath, 4)],
    );
    check(
        &[("k3s/registries.yaml", &K3S.replace("\"*\"", "ghcr.io")), disabled],
        &[(Kind::NoDefault, 0), (Kind::NotCovered, 0)],
    );
    check(&[("k3s/registries.yaml", "mirrors:\n  \"*\":\n"), disabled], &[(Kind::NoHost, 2)]);
    let configs = "configs:\n  \"*\":\n    tls:\n      insecure_skip_verify: true\n";
    check(
        &[("k3s/registries.yaml", &format!("{K3S}{configs}")), disabled],
        &[(Kind::DefaultEndpoint, 6), (Kind::SkipVerify, 8)],
    );
    check(&[("k3s/registries.yaml", "mirrors: ["), disabled], &[(Kind::Unparsable, 1)]);
}

#[test]
fn talos_falls_back_unless_it_skips_that() {
    let patch = "machine:\n  registries:\n    mirrors:\n      '*':\n        endpoints: ['https://gateway.example:5000']\n        skipFallback: true\n";
    check(&[("patch.yaml", patch)], &[]);
    check(&[("patch.yaml", &patch.replace("        skipFallback: true\n", ""))], &[(Kind::Fallback, 4)]);
    check(&[("patch.yaml", &patch.replace("true", "false"))], &[(Kind::Fallback, 6)]);
    check(&[("patch.yaml", &patch.replace("gateway", "mirror"))], &[(Kind::NotOurs, 5)]);
    check(
        &[("patch.yaml", &patch.replace("'*'", "docker.io"))],
        &[(Kind::NoDefault, 0), (Kind::NotCovered, 0)],
    );
    check(&[("patch.yaml", &patch.replace("['https://gateway.example:5000']", "[]"))], &[(Kind::NoHost, 4)]);
    let tls = "    config:\n      gateway.example:5000:\n        tls:\n          insecureSkipVerify: true\n";
    check(&[("patch.yaml", &format!("{patch}{tls}"))], &[(Kind::SkipVerify, 10)]);
    let document = "apiVersion: v1alpha1\nkind: RegistryMirrorConfig\nname: '*'\nendpoints:\n  - url: https://gateway.example:5000/v2/ghcr.io\n    overridePath: true\n";
    check(&[("patch.yaml", document)], &[(Kind::Fallback, 3), (Kind::WrongPath, 5)]);
    let tls = "---\nkind: RegistryTLSConfig\nname: gateway.example:5000\ninsecureSkipVerify: true\n";
    check(
        &[("patch.yaml", &format!("{}skipFallback: true\n{tls}", document.replace("/v2/ghcr.io", "/v2")))],
        &[(Kind::SkipVerify, 11)],
    );
}

#[test]
fn where_nobody_says_which_address_is_ours_there_can_be_but_one() {
    let guess = |text: &str| {
        let expected = Expected { ours: Ours::default(), ..expected() };
        let found = holes_by(&[("certs.d/_default/hosts.toml", text)], &expected);
        let kinds: Vec<Kind> = found.iter().map(|hole| hole.kind).collect();
        (kinds, expected.ours.guessed().map(str::to_owned))
    };
    assert_eq!(guess(CLOSED), (vec![], Some("gateway.example:5000".to_owned())));
    let other = CLOSED.replace("host.\"https://gateway", "host.\"https://other");
    assert_eq!(guess(&other), (vec![Kind::NotOurs], Some("gateway.example:5000".to_owned())));
    assert_eq!(guess(&CLOSED.replace("gateway.example:5000", "docker.io")).1, None);
}

#[test]
fn files_that_are_none_of_these_are_passed_over_unless_they_are_asked_for() {
    let directory = tempfile::TempDir::new().unwrap();
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("values.yaml"), "a: 1\n").unwrap();
    std::fs::write(path("notes.txt"), "").unwrap();
    let unread = |paths: &[PathBuf]| collect(paths).unread.len();
    assert_eq!(unread(&[directory.path().to_owned()]), 1, "a directory of nothing is not one without holes");
    assert_eq!(unread(&[path("values.yaml"), path("missing/hosts.toml")]), 2);
    std::fs::write(path("config.toml"), [0xff]).unwrap();
    assert_eq!(unread(&[directory.path().to_owned()]), 1);
}

/// Each kind, so that one that is new is added here.
fn next(kind: Kind) -> Option<Kind> {
    Some(match kind {
        Kind::Unparsable => Kind::InvalidValue,
        Kind::InvalidValue => Kind::UnknownCapability,
        Kind::UnknownCapability => Kind::IgnoredKey,
        Kind::IgnoredKey => Kind::NoServer,
        Kind::NoServer => Kind::OriginAsServer,
        Kind::OriginAsServer => Kind::NoHost,
        Kind::NoHost => Kind::NotOurs,
        Kind::NotOurs => Kind::RootCapabilities,
        Kind::RootCapabilities => Kind::NoHostsFile,
        Kind::NoHostsFile => Kind::NotCovered,
        Kind::NotCovered => Kind::NoDefault,
        Kind::NoDefault => Kind::SkipVerify,
        Kind::SkipVerify => Kind::PlainHttp,
        Kind::PlainHttp => Kind::WrongPath,
        Kind::WrongPath => Kind::NoConfigPath,
        Kind::NoConfigPath => Kind::OldMirrors,
        Kind::OldMirrors => Kind::NotBlocked,
        Kind::NotBlocked => Kind::PartOnly,
        Kind::PartOnly => Kind::Wildcard,
        Kind::Wildcard => Kind::Unlisted,
        Kind::Unlisted => Kind::RegistryMirrors,
        Kind::RegistryMirrors => Kind::ImageStore,
        Kind::ImageStore => Kind::DefaultEndpoint,
        Kind::DefaultEndpoint => Kind::Fallback,
        Kind::Fallback => Kind::OldFormat,
        Kind::OldFormat => return None,
    })
}

#[test]
fn every_kind_of_hole_is_explained_in_the_documentation() {
    let page = include_str!("../../../../docs/nodes.md");
    for kind in std::iter::successors(Some(Kind::Unparsable), |kind| next(*kind)) {
        assert!(page.contains(&format!("`{}`", kind.name())), "{}", kind.name());
    }
}
