//! What stands between a policy in CUE and the machine. `countersign cue-sandbox PROGRAM DIRECTORY ARGUMENT...`
//! gives up rights, for good, and becomes the program: no new process, no socket, no file but the directory and the
//! program, no more memory and time than a policy takes. The environment is what the parent gave.
//!
//! The language itself reaches neither files nor networks; this is for the day when its program has a fault.

use std::path::Path;

/// Gives up rights and becomes the program. Returns only if that failed.
#[cfg(target_os = "linux")]
pub(crate) fn enter(program: &Path, directory: &Path, arguments: &[String]) -> anyhow::Error {
    use std::os::unix::process::CommandExt;

    if let Err(error) = linux::confine(program, directory) {
        return error;
    }
    std::process::Command::new(program).args(arguments).exec().into()
}

/// Says that there is no sandbox here.
#[cfg(not(target_os = "linux"))]
pub(crate) fn enter(_: &Path, _: &Path, _: &[String]) -> anyhow::Error {
    anyhow::anyhow!("policies in CUE are evaluated on Linux only")
}

#[cfg(target_os = "linux")]
mod linux {
    use std::path::Path;

    use anyhow::Context as _;
    use landlock::{
        ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr,
        path_beneath_rules,
    };
    use rustix::process::{Resource, Rlimit, setrlimit};
    use seccompiler::{
        BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
        SeccompRule, TargetArch, apply_filter,
    };

    /// What the program gets. Go reserves far more addresses than it uses memory: it starts with 500 MiB and not with
    /// 400.
    const LIMITS: [(Resource, u64); 5] = [
        (Resource::As, 2 * 1024 * 1024 * 1024),
        (Resource::Cpu, 5),
        (Resource::Core, 0),
        (Resource::Fsize, 0),
        (Resource::Nofile, 64),
    ];

    /// Where a program that is not linked statically finds the rest of itself.
    const LIBRARIES: [&str; 4] = ["/lib", "/lib64", "/usr/lib", "/etc/ld.so.cache"];

    pub(super) fn confine(program: &Path, directory: &Path) -> anyhow::Result<()> {
        for (resource, most) in LIMITS {
            setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) }).context("limits")?;
        }
        files(program, directory).context("landlock")?;
        // This also sets `no_new_privs`.
        apply_filter(&calls()?).context("seccomp")
    }

    /// Files by Landlock, as far as the kernel has it: the program opens none of its own accord.
    fn files(program: &Path, directory: &Path) -> anyhow::Result<()> {
        let abi = ABI::V5;
        let execute = AccessFs::Execute | AccessFs::ReadFile;
        Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(abi))?
            .handle_access(AccessNet::from_all(abi))?
            .create()?
            .add_rules(path_beneath_rules([program], execute))?
            .add_rules(path_beneath_rules(LIBRARIES, AccessFs::from_read(abi)))?
            .add_rules(path_beneath_rules([directory], AccessFs::ReadFile | AccessFs::ReadDir))?
            .restrict_self()?;
        Ok(())
    }

    /// System calls that fail: all that speak to somebody, start something or look into other processes.
    fn calls() -> anyhow::Result<BpfProgram> {
        let denied = [
            libc::SYS_socket,
            libc::SYS_socketpair,
            libc::SYS_connect,
            libc::SYS_bind,
            libc::SYS_listen,
            libc::SYS_sendto,
            libc::SYS_sendmsg,
            libc::SYS_sendmmsg,
            libc::SYS_clone3,
            #[cfg(target_arch = "x86_64")]
            libc::SYS_fork,
            #[cfg(target_arch = "x86_64")]
            libc::SYS_vfork,
            libc::SYS_ptrace,
            libc::SYS_process_vm_readv,
            libc::SYS_process_vm_writev,
            libc::SYS_pidfd_open,
            libc::SYS_pidfd_getfd,
            libc::SYS_kill,
            libc::SYS_io_uring_setup,
            libc::SYS_bpf,
            libc::SYS_perf_event_open,
            libc::SYS_userfaultfd,
            libc::SYS_mount,
            libc::SYS_unshare,
            libc::SYS_setns,
            libc::SYS_keyctl,
            libc::SYS_add_key,
            libc::SYS_request_key,
            libc::SYS_memfd_create,
        ];
        let mut rules: std::collections::BTreeMap<_, Vec<SeccompRule>> =
            denied.into_iter().map(|call| (call, Vec::new())).collect();
        // A thread is made by the same call as a process, and Go needs threads.
        let thread = u64::try_from(libc::CLONE_THREAD)?;
        let process = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(thread), 0)?;
        rules.insert(libc::SYS_clone, vec![SeccompRule::new(vec![process])?]);
        let denial = SeccompAction::Errno(u32::try_from(libc::EPERM)?);
        let arch = TargetArch::try_from(std::env::consts::ARCH)?;
        Ok(SeccompFilter::new(rules, SeccompAction::Allow, denial, arch)?.try_into()?)
    }
}
