//! A filesystem of a few mebibytes that is really full.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::parts::Running;

/// A filesystem in memory, mounted over a directory where nobody but who is started within it sees it. It is gone when
/// this is dropped, and so survives the processes that use it.
pub(super) struct SmallDisk {
    directory: PathBuf,
    /// Whoever keeps it mounted.
    keeper: Running,
}

impl SmallDisk {
    /// Mounts so many mebibytes over a directory. Whoever is not root is, within.
    pub(super) fn mount(directory: &Path, mebibytes: u32) -> Self {
        let mount = format!("mount -t tmpfs -o size={mebibytes}m tmpfs \"$1\" && echo mounted && exec cat");
        let mut keeper = Command::new("unshare");
        keeper.args(if is_root() { &["--mount"][..] } else { &["--map-root-user", "--mount"] });
        keeper.args(["sh", "-c", &mount, "sh"]).arg(directory);
        // `cat` waits for input that ends with whoever started it.
        let mut keeper = Running(keeper.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap());
        let mut said = String::new();
        BufReader::new(keeper.0.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "mounted\n", "neither root nor somebody with namespaces of their own");
        Self { directory: directory.to_owned(), keeper }
    }

    /// What runs a program, which is appended, where this is mounted.
    pub(super) fn within(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.keeper.0.id().to_string(), "--mount"]);
        if !is_root() {
            command.args(["--user", "--preserve-credentials"]);
        }
        command
    }

    /// Where it is seen from outside.
    pub(super) fn path(&self) -> PathBuf {
        let directory = self.directory.strip_prefix("/").unwrap();
        PathBuf::from(format!("/proc/{}/root", self.keeper.0.id())).join(directory)
    }

    /// Takes all the room that is left.
    pub(super) fn fill(&self) {
        let mut ballast = File::create(self.ballast()).unwrap();
        let error = io::copy(&mut io::repeat(1), &mut ballast).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }

    /// Gives it back.
    pub(super) fn free(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}
