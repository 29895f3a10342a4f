//! `limiter doctor`

use std::{io, io::IsTerminal as _, process::ExitCode, time::Duration};

use hyper::Uri;
use tokio::{
    select,
    signal::unix::{SignalKind, signal},
    time::sleep,
};

use super::{colour::When, failure::Failure, output};
use crate::{
    api::doctor::DoctorReport,
    control::client::{Client, ClientError},
    doctor::{
        examination::{Said, Wanted, examine},
        limits,
        nginx::stub_status::{self, Reading},
        sample::Sample,
    },
    kernel::enter_network_of,
    render,
};

/// Clears a terminal and goes to its first line (ECMA-48).
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Find out why connections run out, and what to do; exits with 0 healthy, 1 warning, 2 critical
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only listeners on this port; can be given several times
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    listen: Vec<u16>,
    /// Only listeners of this process, in its network namespace
    #[arg(long, value_name = "PID")]
    pid: Option<u32>,
    /// Where nginx tells its status (ngx_http_stub_status_module)
    #[arg(long, value_name = "URL", value_parser = stub_status::address)]
    stub_status: Option<Uri>,
    /// Time between the two samples
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = super::interval::parse)]
    interval: Duration,
    /// Go on, and mark what has changed
    #[arg(long)]
    watch: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Colours
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    color: When,
}

/// The exit code says how bad it is.
pub(super) async fn run(args: Args, client: &Client) -> Result<ExitCode, Failure> {
    let mut doctor = Doctor {
        args,
        client,
        unseen: Vec::new(),
    };
    if let Some(pid) = doctor.args.pid {
        doctor.go_to(pid)?;
    }
    let mut before = doctor.look().await?;
    let mut shown: Option<String> = None;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::Runtime)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::Runtime)?;
    let mut code = ExitCode::SUCCESS;
    loop {
        select! {
            () = sleep(doctor.args.interval) => {}
            // Only of something that goes on an end by signal is no failure.
            _ = interrupt.recv() => return Ok(if doctor.args.watch { code } else { 130.into() }),
            _ = terminate.recv() => return Ok(if doctor.args.watch { code } else { 143.into() }),
        }
        let after = doctor.look().await?;
        let report = doctor.examine(&before, &after).await?;
        doctor.show(&report, &mut shown)?;
        code = report.verdict.level.code().into();
        if !doctor.args.watch {
            return Ok(code);
        }
        before = after;
    }
}

/// What is looked at at one moment.
struct Look {
    sample: Sample,
    stub_status: Option<io::Result<Reading>>,
}

struct Doctor<'a> {
    args: Args,
    client: &'a Client,
    /// What cannot be seen all the time.
    unseen: Vec<String>,
}

impl Doctor<'_> {
    /// There is one thread, and no other one takes part.
    fn go_to(&mut self, pid: u32) -> Result<(), Failure> {
        match enter_network_of(pid) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Failure::NotExamined {
                text: format!("there is no process {pid}"),
                hint: "",
            }),
            Err(error) => {
                self.unseen.push(format!(
                    "whether process {pid} is in another network namespace, and what is there: {error} \
                     (run it as root)"
                ));
                Ok(())
            }
        }
    }

    async fn look(&self) -> Result<Look, Failure> {
        let sample = Sample::take().map_err(|e| Failure::NotExamined {
            text: format!("list the sockets of this machine: {e}"),
            hint: "it takes netlink (sock_diag) and /proc",
        })?;
        let stub_status = match &self.args.stub_status {
            Some(uri) => Some(stub_status::ask(uri).await),
            None => None,
        };
        Ok(Look {
            sample,
            stub_status,
        })
    }

    async fn examine(&self, before: &Look, after: &Look) -> Result<DoctorReport, Failure> {
        let mut said = Said {
            unseen: self.unseen.clone(),
            ..Said::default()
        };
        let interval = after.sample.begun - before.sample.begun;
        match (&before.stub_status, &after.stub_status) {
            (Some(Ok(first)), Some(Ok(second))) => {
                let ms = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
                said.stub_status = Some(stub_status::compare(first, second, ms));
            }
            (Some(Err(error)), _) | (_, Some(Err(error))) => {
                said.unseen.push(format!("--stub-status: {error}"));
            }
            _ => {}
        }
        match limits::ask(self.client).await {
            Ok(limits) => said.limits = Some(limits),
            // It does without.
            Err(ClientError::NoDaemon { .. }) => {}
            Err(error) => said.unseen.push(format!("zones and their keys: {error}")),
        }
        let wanted = Wanted {
            ports: self.args.listen.clone(),
            pid: self.args.pid,
        };
        let report = examine(&before.sample, &after.sample, &wanted, said);
        let report = report.map_err(|e| Failure::NotExamined {
            text: format!("look for the processes in /proc: {e}"),
            hint: "",
        })?;
        report.ok_or_else(|| Failure::NotExamined {
            text: "nobody listens there".to_owned(),
            hint: "`limiter doctor` without --listen and --pid shows every listener of this network \
                   namespace; as another user than root, whose they are may be hidden",
        })
    }

    fn show(&self, report: &DoctorReport, shown: &mut Option<String>) -> Result<(), Failure> {
        if self.args.json {
            return output::json(report);
        }
        let colour = self.args.color.on_stdout();
        if !self.args.watch {
            return output::text(&render::doctor::report(report, colour));
        }
        // What changes all the time would always be marked.
        let plain = render::doctor::report(report, render::colour::Colour::Off);
        let text = render::doctor::changes(shown.as_deref(), &plain, colour);
        let head = if io::stdout().is_terminal() {
            CLEAR.to_owned()
        } else {
            String::new()
        };
        let time = report.time.strftime("%Y-%m-%dT%H:%M:%SZ");
        *shown = Some(plain);
        output::text(&format!("{head}{time}\n{text}\n"))
    }
}
