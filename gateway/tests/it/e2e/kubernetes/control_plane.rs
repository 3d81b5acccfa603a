//! etcd and an API server of the test's own on loopback, and `kubectl`.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use tempfile::TempDir;

use super::super::parts::{Running, free_address, listening, run};

/// A cluster without nodes.
pub(super) struct ControlPlane {
    pub(super) directory: TempDir,
    address: SocketAddr,
    etcd_address: SocketAddr,
    api_server: Option<Running>,
    etcd: Option<Running>,
    /// One control plane at a time: together they would be slower, and larger than the machine.
    _turn: tokio::sync::MutexGuard<'static, ()>,
}

static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

impl ControlPlane {
    pub(super) async fn start() -> Self {
        let turn = TURN.lock().await;
        let directory = TempDir::new().unwrap();
        let mut plane = Self {
            address: free_address(),
            etcd_address: free_address(),
            directory,
            api_server: None,
            etcd: None,
            _turn: turn,
        };
        plane.write_certificates();
        plane.start_etcd().await;
        plane.start_api_server().await;
        plane
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// How the administrator reaches it.
    pub(super) fn admin(&self) -> String {
        self.path("admin.kubeconfig").display().to_string()
    }

    /// How the gateway does: with no rights but those that were given to it.
    pub(super) fn gateway(&self) -> String {
        self.path("countersign.kubeconfig").display().to_string()
    }

    pub(super) async fn start_etcd(&mut self) {
        let peer = free_address();
        let (client, peer) = (format!("http://{}", self.etcd_address), format!("http://{peer}"));
        let log = self.log("etcd.log");
        let mut command = Command::new("etcd");
        command.arg("--data-dir").arg(self.path("etcd"));
        command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
        command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        command.args(["--initial-cluster", &format!("default={peer}"), "--unsafe-no-fsync"]);
        self.etcd = Some(started(&mut command, log));
        listening(self.etcd_address).await;
    }

    pub(super) async fn start_api_server(&mut self) {
        let log = self.log("kube-apiserver.log");
        let file = |name: &str| self.path(name).display().to_string();
        let mut command = Command::new("kube-apiserver");
        command.args([
            format!("--etcd-servers=http://{}", self.etcd_address),
            "--bind-address=127.0.0.1".into(),
            "--advertise-address=127.0.0.1".into(),
            "--endpoint-reconciler-type=none".into(),
            format!("--secure-port={}", self.address.port()),
            format!("--tls-cert-file={}", file("server.pem")),
            format!("--tls-private-key-file={}", file("server.key")),
            format!("--client-ca-file={}", file("ca.pem")),
            "--service-account-issuer=https://kubernetes.default.svc".into(),
            format!("--service-account-key-file={}", file("accounts.key")),
            format!("--service-account-signing-key-file={}", file("accounts.key")),
            "--service-cluster-ip-range=10.0.0.0/24".into(),
            "--authorization-mode=RBAC".into(),
            // There is nobody who would make the accounts.
            "--disable-admission-plugins=ServiceAccount".into(),
        ]);
        self.api_server = Some(started(&mut command, log));
        listening(self.address).await;
        for _ in 0..400 {
            if self.kubectl(&["get", "--raw", "/readyz"]).status.success()
                && self.kubectl(&["get", "namespace", "default"]).status.success()
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!(
            "kube-apiserver did not start: {}",
            std::fs::read_to_string(self.path("kube-apiserver.log")).unwrap()
        );
    }

    pub(super) fn stop_api_server(&mut self) {
        self.api_server = None;
    }

    pub(super) fn stop_etcd(&mut self) {
        self.etcd = None;
    }

    fn log(&self, name: &str) -> File {
        File::options().create(true).append(true).open(self.path(name)).unwrap()
    }

    /// Runs `kubectl` as the administrator.
    pub(super) fn kubectl(&self, arguments: &[&str]) -> Output {
        let admin = self.admin();
        // A cache of its own: another cluster may have had this port.
        let cache = self.path("cache").display().to_string();
        let common = ["--kubeconfig", &admin, "--cache-dir", &cache, "--request-timeout", "20s"];
        run("kubectl", &[common.as_slice(), arguments].concat())
    }

    /// The same where it must succeed; what it said.
    pub(super) fn does(&self, arguments: &[&str]) -> String {
        let output = self.kubectl(arguments);
        assert!(output.status.success(), "kubectl {arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The same where it must fail; what it said.
    pub(super) fn refuses(&self, arguments: &[&str]) -> String {
        let output = self.kubectl(arguments);
        assert!(!output.status.success(), "kubectl {arguments:?}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// `kubectl apply` of a text.
    pub(super) fn applied(&self, text: &str) -> Output {
        let file = tempfile::NamedTempFile::new_in(self.directory.path()).unwrap();
        std::fs::write(file.path(), text).unwrap();
        self.kubectl(&["apply", "-f", &file.path().display().to_string()])
    }

    pub(super) fn apply(&self, text: &str) {
        let output = self.applied(text);
        assert!(output.status.success(), "{output:?}: {text}");
    }

    fn write_certificates(&self) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "cluster");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        std::fs::write(self.path("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        let issuer = Issuer::new(params, key);
        let names = ["127.0.0.1", "localhost", "kubernetes.default.svc"].map(str::to_owned).to_vec();
        self.certify(&issuer, "server", names, None);
        self.certify(&issuer, "admin", Vec::new(), Some("system:masters"));
        self.certify(&issuer, "countersign", Vec::new(), Some("countersign"));
        std::fs::write(self.path("accounts.key"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
        for user in ["admin", "countersign"] {
            self.write_kubeconfig(user);
        }
    }

    fn certify(&self, issuer: &Issuer<'_, KeyPair>, name: &str, names: Vec<String>, group: Option<&str>) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![match group {
            Some(group) => {
                params.distinguished_name.push(DnType::OrganizationName, group);
                ExtendedKeyUsagePurpose::ClientAuth
            }
            None => ExtendedKeyUsagePurpose::ServerAuth,
        }];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let certificate = params.signed_by(&key, issuer).unwrap();
        std::fs::write(self.path(&format!("{name}.pem")), certificate.pem()).unwrap();
        std::fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }

    fn write_kubeconfig(&self, user: &str) {
        let (directory, address) = (self.directory.path().display(), self.address);
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: it\ncontexts: [{{name: it, context: {{cluster: it, user: it}}}}]\n\
             clusters: [{{name: it, cluster: {{server: 'https://{address}', certificate-authority: {directory}/ca.pem}}}}]\n\
             users: [{{name: it, user: {{client-certificate: {directory}/{user}.pem, client-key: {directory}/{user}.key}}}}]\n"
        );
        std::fs::write(self.path(&format!("{user}.kubeconfig")), text).unwrap();
    }
}

fn started(command: &mut Command, log: File) -> Running {
    let program = Path::new(command.get_program()).display().to_string();
    let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn();
    Running(
        child.unwrap_or_else(|error| {
            panic!("{program}: {error}; `scripts/install-tools kubernetes` builds it")
        }),
    )
}
