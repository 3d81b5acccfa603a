//! `hosts.toml`: a directory for each registry, as containerd and Docker read it.

use toml_edit::{Array, DocumentMut, Item, Table, value};

use super::{File, Mirror, TRUST, Written, commented, on_node};

const FOLDER: &str = "etc/containerd/certs.d";

/// What is asked for a registry that has no directory of its own.
const DEFAULT: &str = "_default";

pub(super) fn containerd(mirror: &Mirror) -> Written {
    let mut files = tree(mirror, FOLDER);
    files.extend(mirror.trust_files());
    let conditions = vec![
        "containerd reads the directory only where its config.toml says so: config_path = \"/etc/containerd/certs.d\" in \
         [plugins.\"io.containerd.cri.v1.images\".registry] for version 3, in \
         [plugins.\"io.containerd.grpc.v1.cri\".registry] for version 2, and no registry.mirrors beside it"
            .to_owned(),
        "`ctr` reads it only with --hosts-dir, nerdctl with --hosts-dir or its own default; who may use them is root".to_owned(),
        "a more specific directory that another program puts there goes before _default: lint the directory, not only these files"
            .to_owned(),
    ];
    Written { files, holes: Vec::new(), conditions }
}

/// A directory for each registry, and one for all others.
pub(super) fn tree(mirror: &Mirror, folder: &str) -> Vec<File> {
    let names = mirror.names().map(|name| directory(&name)).chain([DEFAULT.to_owned()]);
    let text = commented(
        &[
            "`server` is what takes the place of the registry itself. Without the [host] table containerd before 1.7.32 cannot read",
            "the file, and then asks the registry; so it does after any error in here.",
        ],
        &hosts_toml(mirror),
    );
    names.map(|name| File::new(format!("{folder}/{name}/hosts.toml"), text.clone())).collect()
}

/// `host_port_` is looked at before `host:port`, and can be written anywhere.
fn directory(name: &str) -> String {
    match name.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => format!("{host}_{port}_"),
        _ => name.to_owned(),
    }
}

fn hosts_toml(mirror: &Mirror) -> String {
    let url = mirror.registry.to_string();
    let mut host = Table::new();
    host.insert("capabilities", value(Array::from_iter(["pull", "resolve"])));
    trust(mirror, &mut host);
    let mut hosts = Table::new();
    hosts.set_implicit(true);
    hosts.insert(&url, Item::Table(host));
    let mut document = DocumentMut::new();
    document.insert("server", value(&url));
    // What is said of a host does not hold for `server`, even where both are the same.
    trust(mirror, document.as_table_mut());
    document.insert("host", Item::Table(hosts));
    document.to_string()
}

fn trust(mirror: &Mirror, table: &mut Table) {
    if mirror.ca.is_some() {
        table.insert("ca", value(on_node(TRUST, "ca.crt")));
    }
    if mirror.client.is_some() {
        let pair = Array::from_iter([on_node(TRUST, "client.crt"), on_node(TRUST, "client.key")]);
        table.insert("client", value(Array::from_iter([pair])));
    }
}
