//! An origin is written in one way, and every registry's name is one.

#![no_main]

use libfuzzer_sys::fuzz_target;
use oci::Host;
use upstream::{Endpoint, Origin};

fuzz_target!(|text: &str| {
    if let Ok(origin) = text.parse::<Origin>() {
        let rendered = origin.to_string();
        assert_eq!(rendered.parse().as_ref(), Ok(&origin), "{text:?} became {rendered:?}");
        // A credential is bound to these three; nothing of what else was written may be among them.
        let authority = format!("{}://{}:{}", origin.scheme().as_str(), origin.host(), origin.port());
        assert_eq!(authority.parse().as_ref(), Ok(&origin));
        assert_eq!(text.parse::<Endpoint>().as_ref().map(Endpoint::origin), Ok(&origin));
    }
    if let Ok(host) = text.parse::<Host>() {
        assert_eq!(host.as_str().parse().as_ref(), Ok(&host));
        // The port that is kept with a lone label is the one that goes without saying here.
        let named = host.as_str().strip_suffix(":443").unwrap_or(host.as_str());
        let endpoint = Endpoint::for_host(&host).to_string();
        assert!(host.is_docker_hub() || endpoint == format!("https://{named}"), "{host} became {endpoint}");
    }
});
