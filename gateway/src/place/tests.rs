use super::*;

fn upstreams(default: Option<&str>) -> Upstreams {
    let mut upstreams = Upstreams::new(default.map(|host| host.parse().unwrap()));
    for (host, aliases) in [("docker.io", vec![]), ("ghcr.io", vec!["mirror.example".parse().unwrap()])] {
        let host: Host = host.parse().unwrap();
        let settings = upstream::Settings::new(host.clone(), "http://127.0.0.1:1".parse().unwrap());
        let upstream = Arc::new(Upstream::new(settings).unwrap());
        upstreams.add(&upstream, &aliases);
        if upstream.host().as_str() == "ghcr.io" {
            upstreams.call(&upstream, &[hostname("ghcr.mirror.example")]);
        }
    }
    upstreams
}

fn hostname(text: &str) -> Hostname {
    text.parse().unwrap()
}

#[track_caller]
fn routes(default: Option<&str>, ns: Option<&str>, repository: &str, to: &str) {
    let place = upstreams(default).route(ns, None, &repository.parse().unwrap()).unwrap();
    assert_eq!(place.name.to_string(), to, "{ns:?} {repository:?}");
}

#[track_caller]
fn refuses(default: Option<&str>, ns: Option<&str>, repository: &str) -> Unrouted {
    upstreams(default).route(ns, None, &repository.parse().unwrap()).err().unwrap()
}

#[test]
fn ns_wins_and_a_prefix_that_says_the_same_is_dropped() {
    routes(None, Some("docker.io"), "nginx", "index.docker.io/library/nginx");
    routes(None, Some("DOCKER.io"), "docker.io/library/nginx", "index.docker.io/library/nginx");
    routes(None, Some("ghcr.io"), "mirror.example/acme/app", "ghcr.io/acme/app");
    routes(Some("docker.io"), Some("ghcr.io:443"), "acme/app", "ghcr.io/acme/app");
    assert!(matches!(refuses(None, Some("ghcr.io"), "docker.io/nginx"), Unrouted::Contradiction { .. }));
}

#[test]
fn without_ns_the_path_decides_then_the_default() {
    routes(None, None, "ghcr.io/acme/app", "ghcr.io/acme/app");
    routes(None, None, "mirror.example/acme/app", "ghcr.io/acme/app");
    routes(Some("docker.io"), None, "nginx", "index.docker.io/library/nginx");
    routes(Some("docker.io"), None, "ghcr.io/acme/app", "ghcr.io/acme/app");
    assert_eq!(refuses(None, None, "acme/app"), Unrouted::NoUpstream);
}

#[test]
fn a_host_name_of_ones_own_is_as_good_as_a_prefix_and_gives_way_to_ns() {
    let upstreams = upstreams(Some("docker.io"));
    let at = |called: &str, ns, repository: &str| {
        let place = upstreams.route(ns, Some(&hostname(called)), &repository.parse().unwrap());
        place.map(|place| place.name.to_string())
    };
    let ghcr = "ghcr.mirror.example";
    assert_eq!(at(ghcr, None, "acme/app").unwrap(), "ghcr.io/acme/app");
    assert_eq!(at(ghcr, None, "ghcr.io/acme/app").unwrap(), "ghcr.io/acme/app");
    assert_eq!(at(ghcr, Some("docker.io"), "nginx").unwrap(), "index.docker.io/library/nginx");
    assert!(matches!(at(ghcr, None, "docker.io/nginx"), Err(Unrouted::Contradiction { .. })));
    assert_eq!(at("other.example", None, "nginx").unwrap(), "index.docker.io/library/nginx");
}

#[test]
fn what_a_request_names_is_looked_up_and_never_dialled() {
    for ns in
        ["169.254.169.254", "localhost:10250", "evil.example", "http://ghcr.io", "", "ghcr.io/../x", "[::1]"]
    {
        assert_eq!(
            refuses(Some("docker.io"), Some(ns), "a/b"),
            Unrouted::UnknownUpstream(ns.into()),
            "{ns:?}"
        );
    }
    assert_eq!(refuses(None, None, "evil.example/a"), Unrouted::UnknownUpstream("evil.example".into()));
}

#[test]
fn an_alias_is_no_way_around_a_policy() {
    let name = |text: &str| text.parse::<oci::Reference>().unwrap().name().clone();
    let upstreams = upstreams(None);
    assert_eq!(upstreams.canonical(&name("mirror.example/acme/app")), name("ghcr.io/acme/app"));
    assert_eq!(upstreams.canonical(&name("other.example/acme/app")), name("other.example/acme/app"));
}

#[test]
fn an_image_at_the_gateways_own_address_is_the_one_that_a_pull_of_it_would_be_given() {
    let name = |text: &str| text.parse::<oci::Reference>().unwrap().name().clone();
    let mut upstreams = upstreams(Some("docker.io"));
    upstreams.answer_at("gateway.example:5000".parse().unwrap());
    for (written, means) in [
        ("gateway.example:5000/ghcr.io/acme/app", "ghcr.io/acme/app"),
        ("gateway.example:5000/mirror.example/acme/app", "ghcr.io/acme/app"),
        ("gateway.example:5000/docker.io/nginx", "index.docker.io/library/nginx"),
        ("gateway.example:5000/acme/app", "index.docker.io/acme/app"),
        ("gateway.example/ghcr.io/acme/app", "gateway.example/ghcr.io/acme/app"),
    ] {
        assert_eq!(upstreams.canonical(&name(written)).to_string(), means, "{written}");
    }
    assert!(upstreams.place(&name("gateway.example:5000/ghcr.io/countersign/canary")).is_none());
}

#[test]
fn what_an_image_is_called_below_the_gateway_means_the_same_image() {
    let name = |text: &str| text.parse::<oci::Reference>().unwrap().name().clone();
    let mut upstreams = upstreams(None);
    assert!(upstreams.through_gateway(&name("ghcr.io/acme/app")).is_none(), "it has no address");
    upstreams.answer_at("gateway.example".parse().unwrap());
    for (written, becomes) in [
        ("ghcr.io/acme/app", "gateway.example/ghcr.io/acme/app"),
        ("mirror.example/acme/app", "gateway.example/ghcr.io/acme/app"),
        ("nginx", "gateway.example/docker.io/library/nginx"),
    ] {
        let through = upstreams.through_gateway(&name(written)).unwrap().unwrap();
        assert_eq!(through.to_string(), becomes);
        assert_eq!(upstreams.canonical(&through), upstreams.canonical(&name(written)));
        assert!(upstreams.through_gateway(&through).is_none(), "once is enough");
    }
    assert!(upstreams.through_gateway(&name("other.example/acme/app")).is_none());
    let long = format!("ghcr.io/{}", "a".repeat(250));
    assert!(upstreams.through_gateway(&name(&long)).unwrap().is_err());
}

#[test]
fn a_canary_is_nowhere_by_whatever_name() {
    let name = |text: &str| text.parse::<oci::Reference>().unwrap().name().clone();
    let mut upstreams = upstreams(Some("docker.io"));
    upstreams.deny(&name("mirror.example/acme/sentinel"));
    upstreams.deny(&name("hello-world"));
    for (ns, repository) in [
        (None, "countersign/canary"),
        (None, "ghcr.io/countersign/canary"),
        (None, "mirror.example/acme/sentinel"),
        (None, "hello-world"),
        (None, "docker.io/library/hello-world"),
        (Some("docker.io"), "library/hello-world"),
        (Some("ghcr.io"), "acme/sentinel"),
        (Some("ghcr.io"), "ghcr.io/acme/sentinel"),
        (Some("evil.example"), "countersign/canary"),
    ] {
        let routed = upstreams.route(ns, None, &repository.parse().unwrap()).err();
        assert_eq!(routed, Some(Unrouted::Canary), "{ns:?} {repository}");
    }
    for text in [
        "ghcr.io/countersign/canary",
        "mirror.example/countersign/canary",
        "gateway:5000/countersign/canary",
        "gateway:5000/mirror.example/acme/sentinel",
        "gateway:5000/docker.io/hello-world",
        "registry-1.docker.io/library/hello-world",
    ] {
        assert!(upstreams.is_canary(&name(text)), "{text}");
        assert!(upstreams.place(&name(text)).is_none(), "{text}");
    }
    for text in
        ["ghcr.io/acme/app", "ghcr.io/acme/countersign/canary", "ghcr.io/countersign/canary2", "nginx"]
    {
        assert!(!upstreams.is_canary(&name(text)), "{text}");
    }
}
