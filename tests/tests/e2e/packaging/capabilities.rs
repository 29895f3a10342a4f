//! In a container as the manifest for Kubernetes makes it: a cgroup namespace of its own, the host's
//! cgroups elsewhere, and the capabilities that are named, no others.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use tests::{
    Limiter, Server, World, cgroup, cgroup::Cgroup, client, limiter, netns::NetNs, world::address,
};

use crate::{CLIENT, SERVER};

/// Those of the manifest, as `BPF`.
fn of_the_manifest() -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/kubernetes.yaml");
    let manifest =
        fs::read_to_string(&path).unwrap_or_else(|e| panic!("read {}: {e}", path.display()));
    let (_, list) = manifest
        .split_once("              add:\n")
        .expect("capabilities");
    list.lines()
        .map_while(|line| line.trim().strip_prefix("- "))
        .map(|line| line.split(' ').next().expect("a word").to_owned())
        .collect()
}

/// Arguments: the cgroup of the container, the root of the hierarchy, where the host's cgroups are to
/// be, what to leave of the capabilities, then the command.
const CONTAINER: &str = r#"
container=$1; shift
echo 0 > "$container/cgroup.procs"
exec unshare --cgroup --mount --propagation=private sh -e -c '
    root=$1 host=$2 capabilities=$3; shift 3
    mkdir "$host"
    mount --bind "$root" "$host"
    umount --lazy "$root"
    mount -t cgroup2 cgroup2 "$root"
    exec setpriv --no-new-privs --bounding-set="$capabilities" "$@"' container "$@"
"#;

/// setpriv(1) of util-linux 2.38 knows the latest capabilities by number only.
fn for_setpriv() -> String {
    let names = of_the_manifest()
        .into_iter()
        .map(|name| match name.as_str() {
            "PERFMON" => ",+cap_38".to_owned(),
            "BPF" => ",+cap_39".to_owned(),
            other => format!(",+{}", other.to_lowercase()),
        });
    "-all".to_owned() + &names.collect::<String>()
}

#[test]
fn a_container_limits_the_cgroups_of_its_host() {
    let world = World::new();
    let pod = NetNs::new();
    let server = world.serve(&[SERVER]);
    let in_pod = Server::start_at(&pod, Some(&world.cgroup), &[SERVER], &[]);
    let _open = world.open(CLIENT, server.address());
    let _open_in_pod = client::open(&pod, address(CLIENT), in_pod.address());

    let container = Cgroup::new();
    let host = world.path("host");
    let name = world.cgroup.path().file_name().expect("a name");
    let program = limiter::command();
    let mut command = Command::new("sh");
    command
        .args(["-e", "-c", CONTAINER, "container"])
        .arg(container.path())
        .args([&cgroup::root(), &host])
        .arg(for_setpriv())
        .arg(program.get_program())
        .args([
            "run", "--listen", "8080", "--limit", "1", "--action", "reset", "--cgroup",
        ])
        .arg(host.join(name));
    let limiter = Limiter::try_command(&world.netns, &world.control(), command)
        .unwrap_or_else(|failed| panic!("{}", failed.stderr));

    world.must_be_reset(CLIENT, server.address());
    client::must_be_reset(&pod, address(CLIENT), in_pod.address());
    limiter.cli_ok(&["action", "close", "delay=200ms"]);
    let _waiting = world.must_wait(CLIENT, server.address());
    let attached = limiter.status().attached;
    let own = attached
        .iter()
        .find(|it| it.programs.iter().any(|name| name == "limiter_wait"));
    let own = own.expect("what counts those that wait").target.clone();
    assert_eq!(
        Path::new(&own),
        cgroup::root(),
        "its own cgroup is its root: {attached:?}"
    );
}
