//! A path that a registry answers is rendered as it was written, so that nothing else is asked upstream.

#![no_main]

use libfuzzer_sys::fuzz_target;
use oci::Endpoint;

fuzz_target!(|path: &str| {
    let Ok(endpoint) = Endpoint::parse(path) else { return };
    let rendered = endpoint.to_string();
    assert!(rendered == path || (path == "/v2" && rendered == "/v2/"), "{path:?} became {rendered:?}");
    assert_eq!(Endpoint::parse(&rendered).as_ref(), Ok(&endpoint));
    assert!(rendered.split('/').all(|segment| segment != "." && segment != ".."), "{rendered:?}");
    assert!(
        rendered.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#%\\".contains(&byte)),
        "{rendered:?}"
    );
});
