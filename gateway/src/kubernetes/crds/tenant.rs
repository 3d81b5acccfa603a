//! The fields of a tenant.

use super::schema::Schema;
use super::specs::line;

/// `Tenant`.
pub(super) fn spec() -> Schema {
    let namespaces = "The namespaces whose objects are its own, by name.";
    let upstreams = "The registries that it may pull from: all, as they are configured, without.";
    Schema::object("Who it is, what it may pull, and how much of it.")
        .field("namespaces", Schema::list(namespaces, 10_000, line("").at_most(63)))
        .field("namespaceSelector", selector())
        .field("callers", Schema::list("Who pulls as it: whoever fits one of these.", 256, caller()))
        .field("policies", Schema::object("At admission.").field("noMatch", no_match()))
        .field(
            "registry",
            Schema::object("At the pull door.")
                .field("noMatch", no_match())
                .field("defaultUpstream", line("Where pulls go that name no registry.")),
        )
        .field(
            "admission",
            Schema::object("At admission.").field(
                "mutate",
                line("Whose tags are replaced by digests: pods, all or none.").pattern("^(pods|all|none)$"),
            ),
        )
        .field("upstreams", Schema::list(upstreams, 256, upstream()))
        .field("quotas", quotas())
        .field("contact", line("Whom its people ask about a denial.").at_most(512))
        .field("message", line("What else they are told.").at_most(512))
}

fn selector() -> Schema {
    let values = "What the value is one of, with In, or none of, with NotIn.";
    let expression = Schema::object("")
        .field("key", line("A label."))
        .field(
            "operator",
            line("In, NotIn, Exists or DoesNotExist.").pattern("^(In|NotIn|Exists|DoesNotExist)$"),
        )
        .field("values", Schema::list(values, 64, line("")))
        .required(&["key", "operator"]);
    Schema::object("The namespaces whose objects are its own, by their labels: as everywhere in Kubernetes, but never all.")
        .field("matchLabels", Schema::labels("Labels with these values."))
        .field("matchExpressions", Schema::list("What else holds of the labels.", 64, expression))
}

fn caller() -> Schema {
    let certificate = Schema::object("One of them.")
        .field("commonName", line("The common name of the subject."))
        .field("dns", line("A DNS name among the alternative names."))
        .field("uri", line("A URI among them, as a SPIFFE ID is."));
    let credential = Schema::object("")
        .field("secretRef", secret("A Secret with the entries username and password, or token."));
    Schema::object("Signs that are shown together: one of each kind that is named.")
        .field("hostnames", Schema::list("The names that it calls the gateway by.", 256, line("")))
        .field("pathPrefixes", Schema::list("What its repositories begin with.", 256, line("")))
        .field("certificates", Schema::list("The client certificates that it shows.", 256, certificate))
        .field("credentials", Schema::list("What it logs in with.", 256, credential.required(&["secretRef"])))
        .field("addresses", Schema::list("Where it calls from.", 256, line("")))
}

fn upstream() -> Schema {
    let credentials = Schema::object("What it shows there.")
        .field("secretRef", secret("A Secret with the entries username and password."))
        .required(&["secretRef"]);
    Schema::object("")
        .field("host", line("The registry, as it is configured."))
        .field("credentials", credentials)
        .required(&["host"])
}

fn quotas() -> Schema {
    Schema::object("How much it may take.")
        .field("weight", Schema::integer("How many turns it has where others have one, from 1 to 100."))
        .field("requests", Schema::integer("Requests a second at each door."))
        .field("concurrency", Schema::integer("Requests to one endpoint of a registry that are under way."))
        .field("fills", Schema::integer("Blobs that arrive at once."))
}

fn secret(description: &str) -> Schema {
    Schema::object(description)
        .field("name", line("Its name, in the namespace of the installation."))
        .required(&["name"])
}

fn no_match() -> Schema {
    line("What becomes of an image that no policy matches: deny, warn or allow.")
        .pattern("^(deny|warn|allow)$")
}
