//! Ten SYNs with the address of somebody who does not answer, and how long that one is locked out.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use tests::client as connection;

use crate::{
    flood,
    results::Results,
    scene::{FIRST_PORT, SERVER, Scene, client},
    system::{self, Rules, Running, System},
};

const WORK: &str = "forged SYNs";
const LIMIT: u32 = 10;
/// No firewall remembers a handshake longer than this.
const LONGEST: Duration = Duration::from_secs(130);

/// The victim does not say that it knows nothing of these handshakes, as many firewalls do not.
const SILENT: &str = "table ip silent {
	chain output {
		type filter hook output priority filter; policy accept;
		tcp flags & rst == rst drop
	}
}
";

/// One turn of one system.
pub fn run(system: System, results: &mut Results) -> Result<()> {
    let scene = Scene::set(system)?;
    let _running = Running::start(&scene, system, Rules::limit(LIMIT))?;
    let victim = client(9);
    let clients = scene.cable().clients();
    system::nft_in(clients, &scene, SILENT)?;
    // A call sends more than ten of them.
    let mut sender = flood::sender(&scene, &[victim])?;
    clients.run(|| sender.call()).context("send SYNs")?;
    let begin = Instant::now();
    let locked_out = loop {
        let to = (SERVER, FIRST_PORT).into();
        let patience = Duration::from_millis(100);
        match clients.run(|| connection::open_here(victim, to, patience)) {
            Ok(_) => break begin.elapsed(),
            Err(_) if begin.elapsed() < LONGEST => thread::sleep(patience),
            Err(e) => return Err(e).context("the victim is locked out for ever"),
        }
    };
    results.add(
        WORK,
        "the victim is locked out",
        "s",
        system,
        locked_out.as_secs_f64(),
    );
    Ok(())
}
