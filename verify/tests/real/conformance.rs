//! The vectors of Sigstore's conformance suite, each with the outcome that every client must come to.

use std::fmt::Write as _;
use std::path::Path;

use bytes::Bytes;
use oci::Digest;
use policies::{Flaw, HashAlgorithm, PublicKey};
use verify::{Artifact, Expected, TrustRoot, verify_bundle};

use crate::shared::{folder, text};

/// One vector, as a row of the suite's index.
struct Vector<'a> {
    name: &'a str,
    passes: bool,
    bundle: &'a str,
    artifact: &'a str,
    trust_root: &'a str,
    key: Option<&'a str>,
    subject: &'a str,
    issuer: &'a str,
}

impl<'a> Vector<'a> {
    fn read(row: &'a str) -> Self {
        let cells: Vec<_> = row.split('\t').collect();
        let passes = match cells[1] {
            "pass" => true,
            "fail" => false,
            other => panic!("{other}"),
        };
        Self {
            name: cells[0],
            passes,
            bundle: cells[2],
            artifact: cells[3],
            trust_root: cells[4],
            key: Some(cells[5]).filter(|key| *key != "-"),
            subject: cells[6],
            issuer: cells[7],
        }
    }

    /// What comes of it, or why its trust root or key is none.
    fn run(&self, folder: &Path, artifact: &Artifact) -> Result<Result<(), Flaw>, String> {
        let root =
            TrustRoot::from_json(&text(&folder.join(self.trust_root))).map_err(|error| error.to_string())?;
        let key = self.key.map(|key| {
            let pem = pem::parse(text(&folder.join(key))).map_err(|error| error.to_string())?;
            Ok::<_, String>(PublicKey { der: pem.contents().into(), hash: HashAlgorithm::Sha256 })
        });
        let key = key.transpose()?;
        let expected = match &key {
            Some(key) => Expected::Key(key),
            None => Expected::Identity { subject: self.subject, issuer: self.issuer },
        };
        let bundle = std::fs::read(folder.join(self.bundle)).unwrap();
        Ok(verify_bundle(artifact, &bundle, expected, &root))
    }
}

#[test]
fn every_vector_comes_out_as_the_suite_says() {
    let Some(folder) = folder("sigstore-conformance") else {
        return;
    };
    let index = text(&folder.join("index.tsv"));
    let (mut agreed, mut table) = (0, "| vector | expected | found |\n|---|---|---|\n".to_owned());
    for vector in index.lines().skip(1).map(Vector::read) {
        let bytes = Bytes::from(std::fs::read(folder.join(vector.artifact)).unwrap());
        let digest = Digest::of(&bytes);
        let outcome = vector.run(&folder, &Artifact::Bytes(bytes));
        let passed = matches!(outcome, Ok(Ok(())));
        let said = match &outcome {
            Ok(Ok(())) => "pass".to_owned(),
            Ok(Err(flaw)) => format!("fail: {}: {}", flaw.kind.as_str(), flaw.detail),
            Err(error) => format!("fail: {error}"),
        };
        let (agrees, expected) = (passed == vector.passes, if vector.passes { "pass" } else { "fail" });
        let mark = if agrees { "" } else { "**" };
        writeln!(table, "| {mark}{}{mark} | {expected} | {} |", vector.name, said.replace('|', "\\|"))
            .unwrap();
        agreed += usize::from(agrees);
        // Nothing may hang on having the artifact, where it is known by its digest.
        let by_digest = vector.run(&folder, &Artifact::Digest(digest));
        assert_eq!(matches!(by_digest, Ok(Ok(()))), passed, "{}", vector.name);
    }
    writeln!(table, "\n{agreed} of {} come out as expected.", index.lines().count() - 1).unwrap();
    // For whoever wants to see more than that it passed.
    std::fs::write(concat!(env!("CARGO_TARGET_TMPDIR"), "/conformance.md"), &table).unwrap();
    assert_eq!(agreed, 70, "{table}");
    assert_eq!(index.lines().count(), 71);
}
