//! The fields of each kind, with the limits that the parser has.

use super::schema::Schema;

/// The longest text that carries keys, certificates or a program, in characters: the most that a policy file may have.
const TEXT: u32 = 1024 * 1024;

/// The longest text that is a name, an expression or an address.
const LINE: u32 = 4096;

pub(super) fn line(description: &str) -> Schema {
    Schema::text(description).at_most(LINE)
}

/// `ClusterImagePolicy` and `ImagePolicy`.
pub(super) fn policy() -> Schema {
    Schema::object("Which images, and what they need.")
        .field(
            "images",
            Schema::list(
                "The images that the policy speaks of: any that one of these matches.",
                256,
                image(),
            ),
        )
        .field("authorities", Schema::list("Who may vouch for them: one is enough.", 64, authority()))
        .field(
            "mode",
            line("enforce denies what fails; warn lets it pass and says so.").default_text("enforce"),
        )
        .field("match", Schema::list("The objects that it is for: all, without.", 64, resource()))
        .field("policy", program("What must besides hold of everything that the authorities found.", true))
        .field("exemptions", Schema::list("Images that pass for a while all the same.", 256, exemption()))
        .rule("has(self.images) && size(self.images) > 0", "missing field(s): spec.images")
        .rule("has(self.authorities) && size(self.authorities) > 0", "missing field(s): spec.authorities")
}

fn image() -> Schema {
    let glob = "What host/repository@digest must match. * stands for anything but slashes, ** for anything.";
    Schema::object("").field("glob", line(glob)).required(&["glob"])
}

fn authority() -> Schema {
    Schema::object("Exactly one of key, keyless and static.")
        .field("name", line("What messages call it; authority-0 and so on, without."))
        .field("key", key("A public key that must have signed."))
        .field("keyless", keyless())
        .field("static", fixed())
        .field(
            "source",
            Schema::list("Where the signatures are, if not beside the image. At most one.", 64, source()),
        )
        .field(
            "ctlog",
            trust_root_ref("That a transparency log must have the signature.")
                .field("url", line("Never asked.")),
        )
        .field(
            "attestations",
            Schema::list("What must be attested, all of it, instead of signed.", 64, attestation()),
        )
        .field(
            "rfc3161timestamp",
            trust_root_ref("That a timestamp authority must have stamped the signature."),
        )
        .field("signatureFormat", line("legacy or bundle; signatures of both count for either."))
}

fn trust_root_ref(description: &str) -> Schema {
    Schema::object(description).field("trustRootRef", line("The TrustRoot that says whom to believe."))
}

fn key(description: &str) -> Schema {
    Schema::object(description)
        .field("data", Schema::text("In PEM.").at_most(TEXT))
        .field("secretRef", secret_ref())
        .field("kms", line("A key in a key service, by its address."))
        .field("hashAlgorithm", line("sha224, sha256, sha384 or sha512; sha256 without."))
}

fn secret_ref() -> Schema {
    Schema::object("The only entry of a Secret in the namespace of the installation.")
        .field("name", line("Its name."))
        .field("namespace", line("That namespace, if anything."))
}

fn keyless() -> Schema {
    Schema::object("A certificate, made out to one of these identities.")
        .field("url", line("The certificate authority. Never asked."))
        .field("ca-cert", key("Certificates in PEM that the signer's must chain to."))
        .field("identities", Schema::list("Whom: any of these.", 256, identity()))
        .field("trustRootRef", line("The TrustRoot that says whom to believe."))
        .field("insecureIgnoreSCT", Schema::boolean("Let pass certificates that no certificate log has."))
}

fn identity() -> Schema {
    Schema::object("")
        .field("issuer", line("Who says who the signer is, word for word."))
        .field("issuerRegExp", line("The same, as an expression in Go's syntax. Write ^ and $."))
        .field("subject", line("Who the signer is, word for word."))
        .field("subjectRegExp", line("The same, as an expression in Go's syntax. Write ^ and $."))
}

fn fixed() -> Schema {
    Schema::object("No evidence is asked for.")
        .field("action", line("pass or fail."))
        .field("message", line("What is said where it fails."))
}

fn source() -> Schema {
    let secret = Schema::object("").field("name", line("Its name."));
    Schema::object("")
        .field("oci", line("The repository that has the signatures."))
        .field(
            "signaturePullSecrets",
            Schema::list("Read by policy-controller; here credentials are configured.", 64, secret),
        )
        .field("tagPrefix", line("What the tags of the signatures begin with."))
}

fn attestation() -> Schema {
    Schema::object("")
        .field("name", line("What messages call it."))
        .field("predicateType", line("Its type, in full: a URI."))
        .field("policy", program("What must hold of the statement.", false))
}

fn program(description: &str, whole: bool) -> Schema {
    let map = Schema::object("An entry of a ConfigMap in the namespace of the installation.")
        .field("name", line("The ConfigMap."))
        .field("namespace", line("Read by nobody."))
        .field("key", line("Its entry."));
    let remote = Schema::object("A file on an HTTPS server.")
        .field("url", line("Where it is."))
        .field("sha256sum", line("The sha256 of its content, in hexadecimal digits."));
    let program = Schema::object(description)
        .field("type", line("cue, rego or cel."))
        .field("data", Schema::text("The program.").at_most(TEXT))
        .field("configMapRef", map)
        .field("remote", remote);
    let input = |what: &str| {
        Schema::boolean(&format!("Show it {what}.{}", if whole { "" } else { " Of a whole policy alone." }))
    };
    program
        .field("fetchConfigFile", input("the image's configuration files"))
        .field("includeSpec", input("the spec of the object"))
        .field("includeObjectMeta", input("the metadata of the object"))
        .field("includeTypeMeta", input("the kind of the object"))
}

fn resource() -> Schema {
    let expression = Schema::object("")
        .field("key", line("The label."))
        .field("operator", line("In, NotIn, Exists or DoesNotExist."))
        .field("values", Schema::list("With In and NotIn.", 256, line("")));
    let selector = Schema::object("Which of them, by their labels.")
        .field("matchLabels", Schema::labels("Labels and their values."))
        .field("matchExpressions", Schema::list("What holds of labels.", 256, expression));
    Schema::object("")
        .field("group", line("The API group, empty for the core."))
        .field("version", line("The version, or *."))
        .field("resource", line("The kind in the plural, such as pods."))
        .field("selector", selector)
}

fn exemption() -> Schema {
    Schema::object("")
        .field("digest", line("The image, by sha256.").pattern("^sha256:[0-9a-f]{64}$"))
        .field("reason", Schema::text("Why.").at_most(1024))
        .field("expires", line("The last day, or the moment at which it ends."))
        .required(&["digest", "reason", "expires"])
}

/// `Revocation`.
pub(super) fn revocation() -> Schema {
    let identity = identity()
        .field("notBefore", line("From when on: for ever, without."))
        .field("notAfter", line("Until when: for ever, without."));
    let key = Schema::object("").field("data", Schema::text("In PEM.").at_most(TEXT));
    let digest = Schema::object("")
        .field("digest", line("The image, by sha256.").pattern("^sha256:[0-9a-f]{64}$"))
        .required(&["digest"]);
    let entry = Schema::object("")
        .field("log", line("The log, by the sha256 of its key; any, without."))
        .field("first", Schema::integer("The first entry."))
        .field("last", Schema::integer("The last entry."))
        .required(&["first", "last"]);
    Schema::object("What counts no more, and why.")
        .field("reason", line("Why, for whoever is denied."))
        .field("identities", Schema::list("Signers with certificates.", 4096, identity))
        .field("keys", Schema::list("Signers with keys.", 4096, key))
        .field("digests", Schema::list("Images, whoever signed them.", 4096, digest))
        .field("logEntries", Schema::list("Signatures, by where they are recorded.", 4096, entry))
        .required(&["reason"])
        .rule(
            "has(self.identities) || has(self.keys) || has(self.digests) || has(self.logEntries)",
            "missing field(s): spec.digests, spec.identities, spec.keys, spec.logEntries",
        )
}

/// `TrustRoot`.
pub(super) fn trust_root() -> Schema {
    let repository = |schema: Schema| {
        schema
            .field("root", Schema::text("The root.json that it is trusted by, in base64.").at_most(TEXT))
            .field("targets", line("The folder of its targets; targets, without."))
            .field(
                "trustedRootTarget",
                line("The target that is a trusted root; trusted_root.json, without."),
            )
    };
    let keys = Schema::object("Authorities and logs by their keys.")
        .field("certificateAuthorities", Schema::list("Who issues certificates.", 64, authority_keys()))
        .field("tLogs", Schema::list("Where signatures are recorded.", 64, log()))
        .field("ctLogs", Schema::list("Where certificates are recorded.", 64, log()))
        .field(
            "timestampAuthorities",
            Schema::list("Who says when something was signed.", 64, authority_keys()),
        );
    Schema::object("Exactly one of remote, repository and sigstoreKeys.")
        .field(
            "remote",
            repository(Schema::object("A repository of The Update Framework."))
                .field("mirror", line("Where it is.")),
        )
        .field(
            "repository",
            repository(Schema::object("A copy of such a repository."))
                .field("mirrorFS", Schema::text("The copy, as a tar archive in gzip in base64.")),
        )
        .field("sigstoreKeys", keys)
}

fn authority_keys() -> Schema {
    let subject = Schema::object("What it names itself as.")
        .field("organization", line("Its organisation."))
        .field("commonName", line("Its common name."));
    Schema::object("")
        .field("subject", subject)
        .field("uri", line("Where it is."))
        .field("certChain", Schema::text("Its certificates, in PEM in base64.").at_most(TEXT))
}

fn log() -> Schema {
    Schema::object("")
        .field("baseURL", line("Where it is."))
        .field("hashAlgorithm", line("sha-256, sha-384 or sha-512."))
        .field("publicKey", Schema::text("Its key, in PEM in base64.").at_most(TEXT))
}

/// What came of an object, written by one replica.
pub(super) fn status() -> Schema {
    let condition = Schema::object("")
        .field("type", line("Ready."))
        .field(
            "status",
            line("True where it is in force as it is written. Otherwise it denies what it speaks of."),
        )
        .field("reason", line("InForce, Refused or Unusable."))
        .field("message", Schema::text("What is wrong, or odd."))
        .field("observedGeneration", Schema::integer("Of which state of the object this is said."))
        .field("lastTransitionTime", line("Since when."))
        .required(&["type", "status"]);
    Schema::object("What came of it.")
        .field("observedGeneration", Schema::integer("Of which state of the object this is said."))
        .field("images", Schema::integer("How many globs it has."))
        .field("conditions", Schema::list("What is so.", 16, condition).keyed("type"))
}
