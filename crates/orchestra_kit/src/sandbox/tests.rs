//! What a manifest becomes: a policy, filters, and what is said of each grant on a kernel.

use std::path::{Path, PathBuf};

use seccompiler::{BpfProgram, sock_filter};

use super::filter::{answer, program, stepped};
use super::system_calls::{Refused, Test, UNKNOWN, refused};
use super::{HostLists, Interpreter, Kernel, Level, Places, Policy, enforcement, listener};
use crate::document::Source;
use crate::manifest::{ExtensionManifest, Manifest, Network};

const FULL: Kernel = Kernel { landlock: 6, seccomp: true, hosts: HostLists::Held };

fn manifest(permissions: &str) -> ExtensionManifest {
    let text = format!(
        "[extension]\nname = \"held\"\nversion = \"1\"\nentry = \"held:extension\"\n[extension.permissions]\n{permissions}"
    );
    let read = Manifest::from_source(&Source::from_text("/w/held/Symphony.toml", &text));
    read.unwrap().extension.unwrap()
}

fn places() -> Places {
    Places {
        workspace: "/project".into(),
        system: "/w".into(),
        state: "/w/.symphony".into(),
        python: Some("/opt/python/bin/python3".into()),
        search: vec!["/usr/bin".into(), "/bin".into()],
    }
}

fn policy(permissions: &str) -> Policy {
    Policy::of(&manifest(permissions), &places(), FULL)
}

fn has(paths: &[PathBuf], path: &str) -> bool {
    paths.iter().any(|granted| granted == Path::new(path))
}

fn levels(permissions: &str, kernel: Kernel) -> Vec<(&'static str, Level, String)> {
    let manifest = manifest(permissions);
    let policy = Policy::of(&manifest, &places(), kernel);
    let told = enforcement(&manifest, Some(&policy), kernel);
    told.into_iter().map(|told| (told.permission, told.level, told.reason)).collect()
}

#[test]
fn this_kernel_is_asked_without_being_changed() {
    assert_eq!(Kernel::here(), Kernel::here());
}

#[test]
fn without_a_grant_there_is_its_own_folder_and_the_system() {
    let policy = policy("");
    assert!(has(&policy.read, "/w/held") && has(&policy.read, "/usr"));
    for path in ["/", "/w", "/project", "/etc", "/etc/passwd", "/proc", "/dev", "/tmp", "/home"] {
        assert!(!has(&policy.read, path), "{path}");
    }
    assert!(policy.write.iter().all(|path| path.starts_with("/dev")), "{:?}", policy.write);
    assert_eq!(policy.temporary, Path::new("/w/.symphony/extensions/held/tmp"));
    assert!(policy.execute.is_empty() && !policy.processes && policy.network.is_refused());
}

#[test]
fn a_grant_is_the_path_that_its_variable_stands_for() {
    let policy =
        policy("read = [\"${workspace}/src\", \"../shared\"]\nwrite = [\"${system}/out\"]\n");
    assert!(has(&policy.read, "/project/src") && has(&policy.read, "/w/held/../shared"));
    assert!(has(&policy.write, "/w/out") && !has(&policy.read, "/w/out"));
    assert!(has(&policy.missing, "/w/out") && has(&policy.missing, "/project/src"));
}

#[test]
fn a_program_is_granted_with_its_loader_and_nothing_beside_it() {
    let policy = policy("run = [\"sh\"]\n");
    assert!(policy.processes && has(&policy.execute, "/usr/bin/sh"), "{:?}", policy.execute);
    let loader = |path: &PathBuf| path.to_string_lossy().contains("ld-");
    assert!(policy.execute.iter().any(loader), "{:?}", policy.execute);
    assert!(!has(&policy.execute, "/usr/bin") && !has(&policy.execute, "/usr/bin/env"));
}

#[test]
fn a_script_is_granted_with_what_its_first_line_names() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("script");
    std::fs::write(&script, "#!/usr/bin/env -S sh -e\n").unwrap();
    let policy = policy(&format!("run = [\"{}\"]\n", script.display()));
    for path in [script.to_str().unwrap(), "/usr/bin/env", "/usr/bin/sh"] {
        assert!(has(&policy.execute, path), "{path} in {:?}", policy.execute);
    }
}

#[test]
fn a_file_that_its_command_line_names_is_read_and_a_folder_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("script.py");
    std::fs::write(&script, "").unwrap();
    let text = format!(
        "[extension]\nname = \"held\"\nversion = \"1\"\ncommand = [\"sh\", \"{}\", \"{}\", \"-x\"]\n",
        script.display(),
        folder.path().display()
    );
    let read = Manifest::from_source(&Source::from_text("/w/held/Symphony.toml", &text));
    let policy = Policy::of(&read.unwrap().extension.unwrap(), &places(), FULL);
    assert!(has(&policy.read, script.to_str().unwrap()));
    assert!(!has(&policy.read, folder.path().to_str().unwrap()));
    assert!(policy.is_program && has(&policy.execute, "/usr/bin/sh"));
}

#[test]
fn an_installation_is_never_granted_as_a_whole_but_an_environment_is() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for name in ["home/lib", "home/secret", "env/bin", "env/lib/python3.11/site-packages", "linked"]
    {
        std::fs::create_dir_all(at(name)).unwrap();
    }
    std::fs::write(at("env/pyvenv.cfg"), format!("home = {}\n", at("home/bin").display())).unwrap();
    let link = format!("import hook\n# note\n{}\n", at("linked").display());
    std::fs::write(at("env/lib/python3.11/site-packages/a.pth"), link).unwrap();
    let read = Interpreter::of(&at("env/bin/python3")).read;
    let expected = ["env", "home/lib", "linked"].map(at);
    assert_eq!(read, expected);
    let told = Interpreter::told([PathBuf::from("/")], [], []);
    assert_eq!(told, Interpreter::default());
    assert!(!has(&Interpreter::of(Path::new("/bin/python3")).read, "/etc"));
}

#[test]
fn editable_packages_are_read_whatever_tool_wrote_their_import_hook() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let packages = "env/lib/python3.11/site-packages";
    for name in ["env/bin", packages, "mapped/a", "first/b", "nothing"] {
        std::fs::create_dir_all(at(name)).unwrap();
    }
    for name in ["env/pyvenv.cfg", "first/b/__init__.py", "single.py", "listed.py"] {
        std::fs::write(at(name), "").unwrap();
    }
    let hook = |name: &str, text: String| {
        std::fs::write(at(packages).join(name), text).unwrap();
    };
    let mapping = (at("mapped/a"), at("single"));
    hook(
        "__editable___a_finder.py",
        format!("MAPPING = {{'a': {:?}, 's': {:?}}}", mapping.0, mapping.1),
    );
    hook(
        "_b_editable.py",
        format!(
            "install({{\"b\": {:?},\n \"c\": {:?}}})",
            at("first/b/__init__.py"),
            at("listed.py")
        ),
    );
    hook("other.py", format!("PATH = {:?}", at("nothing")));
    let read = Interpreter::of(&at("env/bin/python3")).read;
    let expected = ["env", "first/b", "first/b/__init__.py", "listed.py", "mapped/a", "single.py"];
    assert_eq!(read, expected.map(at));
}

#[test]
fn a_root_or_a_relative_entry_on_the_module_path_grants_nothing() {
    let told = Interpreter::told([], ["/", "", "here", "/packages"].map(PathBuf::from), []);
    assert_eq!(told.read, [PathBuf::from("/packages")]);
}

#[test]
fn every_grant_is_enforced_on_a_kernel_that_can() {
    for (permission, level, reason) in levels("", FULL) {
        assert_eq!((level, reason.as_str()), (Level::Enforced, ""), "{permission}");
    }
    let told = levels("run = [\"sh\"]\n", FULL);
    assert_eq!((told[3].0, told[3].1), ("run", Level::Degraded));
}

#[test]
fn what_a_kernel_cannot_hold_is_told_with_the_reason() {
    let none = levels("", Kernel::default());
    for permission in ["read", "write", "run"] {
        let told = none.iter().find(|told| told.0 == permission).unwrap();
        assert_eq!(told.1, Level::NotEnforced);
        assert!(told.2.contains("no Landlock"), "{}", told.2);
    }
    assert_eq!((none[2].1, none[4].1), (Level::NotEnforced, Level::Enforced));
    let old = levels("", Kernel { landlock: 2, ..FULL });
    assert_eq!((old[0].1, old[1].1, old[2].1), (Level::Enforced, Level::Degraded, Level::Enforced));
    let unfiltered = levels("", Kernel { seccomp: false, ..FULL });
    assert_eq!((unfiltered[2].1, unfiltered[3].1), (Level::Degraded, Level::Degraded));
}

#[test]
fn a_list_of_hosts_is_held_whole_or_grants_nothing() {
    let listed = "network = [\"a.example:443\", \"[::1]:80\"]\n";
    let manifest = manifest(listed);
    let of = |kernel: Kernel| {
        let policy = Policy::of(&manifest, &places(), kernel);
        let told = enforcement(&manifest, Some(&policy), kernel).swap_remove(2);
        (policy.network.clone(), told.level, told.reason)
    };
    let (granted, level, reason) = of(FULL);
    assert_eq!((granted, level), (manifest.permissions.network.clone(), Level::Enforced));
    assert_eq!(reason, "only `a.example:443`, `[::1]:80`");
    for (hosts, word) in [
        (HostLists::NotHandedOver, "user notification"),
        (HostLists::NotTaken, "pidfd_getfd"),
        (HostLists::Closed, "Yama"),
        (HostLists::Taken, "another program"),
    ] {
        let (granted, level, reason) = of(Kernel { hosts, ..FULL });
        assert_eq!((granted, level), (Network::Refused, Level::NotEnforced));
        assert!(reason.contains(word) && reason.contains("nothing of the network"), "{reason}");
    }
}

#[test]
fn a_list_of_hosts_leaves_tcp_and_every_connect_is_handed_over() {
    let refused = libc::EPERM.unsigned_abs();
    let listed = policy("network = [\"a.example:443\"]\n");
    let of = |first: u64, second: u64, third: u64| [first, second, third, 0, 0, 0];
    for (call, arguments, expected) in [
        (libc::SYS_socket, of(2, 0x8_0001, 0), 0),
        (libc::SYS_socket, of(10, 0x8_0801, 6), 0),
        (libc::SYS_socket, of(2, 2, 0), refused),
        (libc::SYS_socket, of(2, 1, 132), refused),
        (libc::SYS_socket, of(2, 1, 262), refused),
        (libc::SYS_socket, of(2, 5, 132), refused),
        (libc::SYS_socket, of(1, 1, 0), refused),
        (libc::SYS_socket, of(16, 3, 0), refused),
        (libc::SYS_socketpair, of(1, 1, 0), 0),
        (libc::SYS_bind, [0; 6], refused),
        (libc::SYS_listen, [0; 6], refused),
        (libc::SYS_sendto, [3, 0, 0, 0x4000, 0, 0], 0),
        (libc::SYS_sendto, [3, 0, 0, 0x2000_4000, 0, 0], refused),
        (libc::SYS_sendmsg, of(3, 0, 0x2000_0000), refused),
        (libc::SYS_sendmmsg, [3, 0, 1, 0x2000_0000, 0, 0], refused),
        (libc::SYS_setsockopt, of(3, 6, 1), 0),
        (libc::SYS_setsockopt, of(3, 6, 30), refused),
        (libc::SYS_setsockopt, of(3, 41, 57), refused),
        (libc::SYS_io_uring_setup, [0; 6], refused),
    ] {
        assert_eq!(answered(&listed, HERE, call, arguments), expected, "{call} {arguments:x?}");
    }
    let handed_over: BpfProgram = listener::program()
        .into_iter()
        .map(|libc::sock_filter { code, jt, jf, k }| sock_filter { code, jt, jf, k })
        .collect();
    for (call, expected) in [
        (libc::SYS_connect, libc::SECCOMP_RET_USER_NOTIF),
        (libc::SYS_accept4, 0),
        (libc::SYS_getpid, 0),
    ] {
        assert_eq!(answer(&handed_over, HERE, call, [0; 6]), expected, "{call}");
    }
}

const HERE: u32 = if cfg!(target_arch = "x86_64") { 0xc000_003e } else { 0xc000_00b7 };

/// The answer of a policy's filter to a call; 0: allowed.
fn answered(policy: &Policy, architecture: u32, call: i64, arguments: [u64; 6]) -> u32 {
    answer(&program(policy, 77).unwrap(), architecture, call, arguments)
}

/// What the list says, read from its beginning to its end.
fn said(list: &[Refused], call: i64, arguments: [u64; 6]) -> u32 {
    let holds = |test: &Test| {
        let low = |place: u8| u32::try_from(arguments[place as usize] & 0xffff_ffff).unwrap();
        match *test {
            Test::Is(place, value) => low(place) == value,
            Test::IsNot(place, value) => low(place) != value,
            Test::Masked(place, mask, value) => low(place) & mask == value,
        }
    };
    let mut of_call = list.iter().filter(|refused| refused.call == call);
    if call == UNKNOWN {
        libc::ENOSYS.unsigned_abs()
    } else if of_call.any(|refused| refused.when.iter().all(holds)) {
        libc::EPERM.unsigned_abs()
    } else {
        0
    }
}

#[test]
fn the_filter_answers_every_call_as_the_list_says_and_in_few_steps() {
    let lists = ["", "run = [\"sh\"]\n", "network = true\n", "network = [\"a.example:443\"]\n"];
    let values = [0, 1, 2, 3, 6, 16, 77, 0x0001_0000, 0x1000_0000, 0x2000_0000, u64::MAX];
    for (text, landlock) in lists.into_iter().flat_map(|text| [(text, 5), (text, 6)]) {
        let policy = Policy { kernel: Kernel { landlock, ..FULL }, ..policy(text) };
        let (list, filter) = (refused(&policy, 77), program(&policy, 77).unwrap());
        for call in 0..600 {
            for (place, value) in (0..4).flat_map(|place| values.map(|value| (place, value))) {
                let mut arguments = [1; 6];
                arguments[place] = value;
                let (given, steps) = stepped(&filter, HERE, call, arguments);
                assert_eq!(given, said(&list, call, arguments), "{text}: {call} {arguments:x?}");
                assert!(steps < 100, "{text}: {call} takes {steps}");
            }
        }
    }
}

#[test]
fn calls_of_another_architecture_are_refused_and_nothing_is_killed() {
    let i386 = 0x4000_0003;
    let refused = libc::EPERM.unsigned_abs();
    let policy = policy("network = true\nrun = [\"sh\"]\n");
    assert_eq!(answered(&policy, i386, 20, [0; 6]), refused);
    assert_eq!(answered(&policy, HERE, 0x4000_0000 + libc::SYS_getpid, [0; 6]), refused);
    assert_eq!(answered(&policy, HERE, libc::SYS_getpid, [0; 6]), 0);
    assert_eq!(answered(&policy, HERE, libc::SYS_clone3, [0; 6]), libc::ENOSYS.unsigned_abs());
}

#[test]
fn threads_start_and_processes_do_not_without_a_grant() {
    let refused = libc::EPERM.unsigned_abs();
    let thread = [0x003d_0f00, 0, 0, 0, 0, 0];
    let process = [0x0120_0011, 0, 0, 0, 0, 0];
    let namespace = [0x1000_0011, 0, 0, 0, 0, 0];
    let (none, granted) = (policy(""), policy("run = [\"sh\"]\n"));
    for (policy, call, arguments, expected) in [
        (&none, libc::SYS_clone, thread, 0),
        (&none, libc::SYS_clone, process, refused),
        (&none, libc::SYS_execve, [0; 6], refused),
        (&none, libc::SYS_execveat, [0; 6], refused),
        (&granted, libc::SYS_clone, process, 0),
        (&granted, libc::SYS_clone, namespace, refused),
        (&granted, libc::SYS_execve, [0; 6], 0),
    ] {
        assert_eq!(answered(policy, HERE, call, arguments), expected, "{call} {arguments:x?}");
    }
}

#[test]
fn sockets_are_opened_by_grant_and_pairs_are_streams() {
    let refused = libc::EPERM.unsigned_abs();
    let (none, online) = (policy(""), policy("network = true\n"));
    let of = |family: u64, kind: u64, protocol: u64| [family, kind, protocol, 0, 0, 0];
    for (policy, call, arguments, expected) in [
        (&none, libc::SYS_socket, of(2, 1, 0), refused),
        (&none, libc::SYS_socketpair, of(1, 0x8_0001, 0), 0),
        (&none, libc::SYS_socketpair, of(1, 5, 0), 0),
        (&none, libc::SYS_socketpair, of(1, 0x8_0002, 0), refused),
        (&none, libc::SYS_socketpair, of(1, 3, 0), refused),
        (&none, libc::SYS_socketpair, of(2, 1, 0), refused),
        (&online, libc::SYS_socket, of(2, 0x8_0001, 0), 0),
        (&online, libc::SYS_socket, of(10, 2, 0), 0),
        (&online, libc::SYS_socket, of(16, 3, 0), 0),
        (&online, libc::SYS_socket, of(16, 3, 9), refused),
        (&online, libc::SYS_socket, of(2, 3, 1), refused),
        (&online, libc::SYS_socket, of(2, 0x8_000a, 3), refused),
        (&online, libc::SYS_socket, of(17, 3, 0), refused),
    ] {
        assert_eq!(answered(policy, HERE, call, arguments), expected, "{call} {arguments:?}");
    }
}

#[test]
fn where_landlock_does_not_hold_signals_the_filter_does() {
    let refused = libc::EPERM.unsigned_abs();
    let old = Policy { kernel: Kernel { landlock: 5, ..FULL }, ..policy("") };
    for (call, first, expected) in [
        (libc::SYS_kill, 77, 0),
        (libc::SYS_kill, 1, refused),
        (libc::SYS_tgkill, 77, 0),
        (libc::SYS_tgkill, 78, refused),
        (libc::SYS_pidfd_send_signal, 3, refused),
    ] {
        assert_eq!(answered(&old, HERE, call, [first, 0, 0, 0, 0, 0]), expected, "{call} {first}");
    }
    assert_eq!(answered(&policy(""), HERE, libc::SYS_kill, [1, 0, 0, 0, 0, 0]), 0);
}
