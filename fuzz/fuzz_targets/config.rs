//! A configuration is read whole or refused with words, never half.

#![no_main]

use std::io::Write as _;
use std::sync::OnceLock;

use gateway::config::{self, ConfigError};
use libfuzzer_sys::fuzz_target;
use tempfile::NamedTempFile;

fuzz_target!(|text: &str| {
    static FILE: OnceLock<NamedTempFile> = OnceLock::new();
    let file = FILE.get_or_init(|| NamedTempFile::new().unwrap());
    let mut open = std::fs::File::create(file.path()).unwrap();
    open.write_all(text.as_bytes()).unwrap();
    match config::load(Some(file.path()), std::iter::empty()) {
        Ok(config) => {
            let known = |host: &oci::Host| config.upstreams.iter().any(|upstream| upstream.host == *host);
            assert!(config.registry.default_upstream.as_ref().is_none_or(known));
            let names: Vec<_> =
                config.upstreams.iter().flat_map(|it| std::iter::once(&it.host).chain(&it.aliases)).collect();
            assert_eq!(names.iter().collect::<std::collections::HashSet<_>>().len(), names.len());
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert!(!matches!(error, ConfigError::Unreadable { .. } | ConfigError::UnknownVariable(_)));
        }
    }
});
