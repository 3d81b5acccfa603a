use super::*;

fn config(text: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    parse(text, "countersign.yaml", environment)?.into_config(Some(Path::new("/home/state")))
}

#[track_caller]
fn refuses(text: &str, path: &str) {
    match config(text, &[]) {
        Err(ConfigError::Key { key, .. }) => assert_eq!(key, path, "{text:?}"),
        other => panic!("{text:?} gave {other:?}"),
    }
}

#[test]
fn nothing_needs_to_be_configured() {
    let config = config("", &[]).unwrap();
    assert_eq!(config.registry.listen.to_string(), "127.0.0.1:5000");
    assert_eq!(config.admission.listen.to_string(), "127.0.0.1:8443");
    assert_eq!(config.admin.listen.to_string(), "127.0.0.1:9090");
    assert!(matches!(config.registry.no_match, NoMatch::Warn));
    assert!(matches!(config.policies.no_match, NoMatch::Deny));
    assert!(matches!(config.trust.root, TrustSource::PublicGood));
    assert_eq!(config.storage.path, Path::new("/home/state/countersign"));
    assert!(config.upstreams.iter().any(|upstream| upstream.host.is_docker_hub()));
}

#[test]
fn a_wrong_key_is_named_by_its_path() {
    refuses("registry: {listne: '127.0.0.1:1'}", "registry.listne");
    refuses("registry: {listen: nowhere}", "registry.listen");
    refuses("registry: {noMatch: maybe}", "registry.noMatch");
    refuses("storage: {object: {url: 'http://bucket'}}", "storage.object.url");
    refuses("storage: {object: {url: 's3://'}}", "storage.object.url");
    refuses("storage: {object: {url: 's3://bucket', endpoint: nowhere}}", "storage.object.endpoint");
    refuses("storage: {object: {url: 'gs://bucket', endpoint: 'https://a'}}", "storage.object.endpoint");
    refuses("storage: {object: {url: 'az://bucket', region: a}}", "storage.object.region");
    refuses("storage: {object: {url: 's3://bucket', regoin: a}}", "storage.object.regoin");
    refuses("storage: {prefetch: [linux/amd64, linux]}", "storage.prefetch[1]");
    refuses("registry: {tls: {certificate: a.pem}}", "registry.tls.key");
    refuses("registry: {tagFreshness: -1s}", "registry.tagFreshness");
    refuses("registry: {defaultUpstream: example.com}", "registry.defaultUpstream");
    refuses("storage: {limit: lots}", "storage.limit");
    refuses("upstreams: [{host: 'http://a'}]", "upstreams[0].host");
    refuses("upstreams: [{host: a.example, endpoint: 'ftp://a'}]", "upstreams[0].endpoint");
    refuses("upstreams: [{host: a.example, credentials: {usernameFile: u}}]", "upstreams[0].credentials");
    refuses("upstreams: [{host: docker.io}, {host: index.docker.io}]", "upstreams[1]");
    refuses("nonsense: 1", "nonsense");
}

#[test]
fn what_is_wrong_with_an_upstream_is_named_by_its_path() {
    let of = |keys: &str, path: &str| {
        refuses(&format!("upstreams: [{{host: a.example, {keys}}}]"), &format!("upstreams[0]{path}"));
    };
    of("realms: ['https://auth.example/']", ".realms");
    of("redirects: ['https://s3.example/bucket']", ".redirects");
    of("clientCertificate: c.pem", ".clientKey");
    of("concurrency: 0", ".concurrency");
    of("timeouts: {body: 0s}", ".timeouts.body");
    of("timeouts: {headers: soon}", ".timeouts.headers");
    of("proxy: {}", ".proxy.url");
    of("proxy: {url: 'socks5://p:1'}", ".proxy.url");
    of("proxy: {url: 'http://user:secret@p:1'}", ".proxy.url");
    of("proxy: {url: none, except: [b.example]}", ".proxy.url");
    of("proxy: {url: 'http://p:1', usernameFile: u}", ".proxy");
    of("credentials: {usernameFile: u, passwordFile: p, environment: [A]}", ".credentials.environment");
    of("credentials: {ecr: {}, gar: {}}", ".credentials");
    of("credentials: {ecr: {region: 'evil.example/'}}", ".credentials.ecr.region");
    of("credentials: {gar: {metadata: 'http://m', externalAccount: f}}", ".credentials.gar");
    of("credentials: {acr: {authority: 'ftp://a'}}", ".credentials.acr.authority");
    of("endpoints: [{url: 'ftp://m.example'}]", ".endpoints[0].url");
    of("endpoints: [{mirror: maybe}]", ".endpoints[0].mirror");
    of("endpoints: [{}, {url: 'https://a.example:443'}]", ".endpoints[1].url");
    // What is bound to one place is not for whatever is added to the list.
    let credentials = "credentials: {dockerConfig: c}";
    of(&format!("endpoints: [{{}}], {credentials}"), ".credentials");
    of("endpoints: [{}], realms: ['https://auth.example']", ".realms");
    of("endpoints: [{}], endpoint: 'https://a.example'", ".endpoint");
}

#[test]
fn a_registry_has_one_endpoint_or_several_in_their_order() {
    let text = "upstreams: [{host: docker.io, ca: ca.pem, concurrency: 8, endpoints: [
        {url: 'https://mirror.example', mirror: true, concurrency: 4, realms: ['https://auth.example/token']}, {}]}]";
    let config = config(text, &[]).unwrap();
    let endpoints = &config.upstreams[0].endpoints;
    let said: Vec<_> = endpoints
        .iter()
        .map(|one| (one.url.to_string(), one.mirror, one.concurrency, one.ca.is_some()))
        .collect();
    assert_eq!(
        said,
        [
            ("https://mirror.example".to_owned(), true, 4, true),
            ("https://registry-1.docker.io".to_owned(), false, 8, true)
        ]
    );
    assert_eq!(endpoints[0].realms[0].to_string(), "https://auth.example/token");
}

#[test]
fn what_is_no_yaml_is_refused() {
    assert!(matches!(config("registry: [", &[]), Err(ConfigError::Malformed { .. })));
}

#[test]
fn scalars_come_from_the_environment_whatever_its_case() {
    let config = config(
        "registry: {noMatch: allow}\nstorage: {path: /data}",
        &[
            ("COUNTERSIGN__REGISTRY__NOMATCH", "deny"),
            ("COUNTERSIGN__storage__Limit", "10GiB"),
            ("COUNTERSIGN__TRUST__ROOT", "staging"),
            ("COUNTERSIGN_PORT", "tcp://10.0.0.1:5000"),
        ],
    )
    .unwrap();
    assert!(matches!(config.registry.no_match, NoMatch::Deny));
    assert_eq!(config.storage.limit, Some(10 << 30));
    assert!(matches!(config.trust.root, TrustSource::Staging));
}

#[test]
fn a_variable_that_means_nothing_is_refused() {
    for variable in ["COUNTERSIGN__REGISTRY__LISTNE", "COUNTERSIGN__UPSTREAMS", "COUNTERSIGN__REGISTRY"] {
        assert!(matches!(config("", &[(variable, "x")]), Err(ConfigError::UnknownVariable(_))), "{variable}");
    }
}

#[test]
fn trust_roots_are_named_or_files() {
    let config = config("trust: {root: {file: /r.json}, roots: {acme: staging}}", &[]).unwrap();
    assert!(matches!(&config.trust.root, TrustSource::File(path) if path == Path::new("/r.json")));
    assert_eq!(config.trust.roots.len(), 1);
    assert_eq!(config.trust.refresh, Duration::from_secs(6 * 3600));
}

#[test]
fn a_trust_root_may_be_in_a_repository() {
    let trust = |tuf: &str| format!("trust: {{roots: {{acme: {{tuf: {{{tuf}}}}}}}}}");
    let config = config(&trust("mirror: 'https://tuf.example/', root: /r.json"), &[]).unwrap();
    let TrustSource::Tuf(source) = &config.trust.roots[0].1 else { panic!("{config:?}") };
    assert_eq!((source.targets.as_str(), source.target.as_str()), ("targets", "trusted_root.json"));
    refuses(&trust("mirror: tuf.example, root: /r.json"), "trust.roots.acme.tuf.mirror");
    refuses(&trust("mirror: 'https://tuf.example/?a', root: /r.json"), "trust.roots.acme.tuf.mirror");
    refuses("trust: {refresh: 0s}", "trust.refresh");
}

#[test]
fn a_store_without_seal_keys_is_refused_unless_only_material_is_believed() {
    refuses("cache: {redis: {url: 'redis://cache'}}", "cache.redis.sealKeys");
    refuses("cache: {redis: {sealKeys: [/seal]}}", "cache.redis.url");
    refuses("cache: {redis: {url: 'redis://cache', trust: material, key: /k}}", "cache.redis.certificate");
    refuses("cache: {redis: {url: 'redis://cache', trust: everything}}", "cache.redis.trust");
    refuses("cache: {redis: {url: 'redis://cache', database: 3}}", "cache.redis.database");
    assert!(config("cache: {redis: {url: 'redis://cache', trust: material}}", &[]).unwrap().redis.is_some());
    assert!(config("cache: {redis:}", &[]).unwrap().redis.is_none());
}

#[test]
fn a_store_is_named_by_the_environment_and_its_password_is_not_printed() {
    let url = [("COUNTERSIGN__CACHE__REDIS__URL", "redis://:hunter2@cache")];
    let config = config("cache: {redis: {sealKeys: [/seal]}}", &url).unwrap();
    assert!(config.redis.is_some());
    assert!(!format!("{config:?}").contains("hunter2"));
    let list = [("COUNTERSIGN__CACHE__REDIS__SEALKEYS", "/seal")];
    assert!(matches!(self::config("", &list), Err(ConfigError::UnknownVariable(_))));
}

#[test]
fn a_secret_that_has_not_32_bytes_is_refused_by_its_key() {
    let directory = tempfile::TempDir::new().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    std::fs::write(path("good"), (0..32).collect::<Vec<u8>>()).unwrap();
    std::fs::write(path("short"), [1, 2, 3]).unwrap();
    std::fs::write(path("long"), "a secret of thirty-two bytes with a line feed\n").unwrap();
    let settings = |files: &str| {
        let text = format!("cache: {{redis: {{url: 'redis://cache', sealKeys: [{files}]}}}}");
        config(&text, &[]).unwrap().redis.unwrap().settings()
    };
    assert!(settings(&path("good")).is_ok());
    for wrong in ["short", "long", "absent"] {
        let error = settings(&format!("{}, {}", path("good"), path(wrong))).unwrap_err();
        assert!(format!("{error:#}").starts_with("cache.redis.sealKeys[1]: "), "{error:#}");
    }
}
