//! A real client that logs in to the gateway with what the registry knows it by.

use super::parts::run;
use crate::pass_through::World;
use crate::stage::HOST;

#[tokio::test(flavor = "multi_thread")]
async fn skopeo_pulls_with_its_own_credentials_and_not_with_those_of_others() {
    let world = World::new().await;
    let gateway = world.gateway("", "", "").await;
    let directory = world.two.stage.directory.path().display().to_string();
    let source = format!("docker://{}/{HOST}/acme/private-a:v1", gateway.registry());
    let copy = async |credentials: Option<&str>, to: &str| {
        let mut arguments =
            vec!["--insecure-policy".to_owned(), "copy".to_owned(), "--src-tls-verify=false".to_owned()];
        match credentials {
            Some(credentials) => arguments.extend(["--src-creds".to_owned(), credentials.to_owned()]),
            None => arguments.push("--src-no-creds".to_owned()),
        }
        arguments.extend([source.clone(), format!("dir:{directory}/{to}")]);
        let copying = move || run("skopeo", &arguments.iter().map(String::as_str).collect::<Vec<_>>());
        tokio::task::spawn_blocking(copying).await.unwrap()
    };
    let mine = copy(Some("a:password-of-a"), "mine").await;
    assert!(mine.status.success(), "{mine:?}");
    for credentials in [Some("b:password-of-b"), Some("a:another"), None] {
        let refused = copy(credentials, "refused").await;
        assert!(!refused.status.success(), "{credentials:?}: {refused:?}");
    }
    let manifest = std::fs::read(format!("{directory}/mine/manifest.json")).unwrap();
    assert_eq!(oci::Digest::of(&manifest), world.digest);
}
