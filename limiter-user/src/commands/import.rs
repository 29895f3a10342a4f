//! `limiter import`

use std::path::PathBuf;

use super::{failure::Failure, output, policy_source::translate};
use crate::import::Summary;

/// Translate a configuration of nginx or Angie into a limiter.conf
///
/// It is written to standard output. What cannot hold in the kernel stands in it as a comment, with
/// the reason and what comes nearest. Files that the configuration includes are read, relative to its
/// directory.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Configuration file, such as /etc/nginx/nginx.conf
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let import = translate(&args.file)?;
    output::text(&import.text)?;
    for warning in &import.warnings {
        eprintln!("limiter: {warning}");
    }
    eprintln!("limiter: {}", said(import.summary));
    Ok(())
}

/// What has become of it, in one sentence.
fn said(summary: Summary) -> String {
    let Summary {
        zones,
        servers,
        limits,
        notes,
    } = summary;
    let some = |count: usize, what: &str| match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    };
    let rest = match notes {
        0 => String::new(),
        _ => format!("; {} in it", some(notes, "remark")),
    };
    if limits == 0 {
        return format!("nothing is limited by the result{rest}");
    }
    format!(
        "{} in {}, with {}{rest}",
        some(limits, "limit"),
        some(servers, "server"),
        some(zones, "zone")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_is_one_sentence() {
        let mut summary = Summary::default();
        assert_eq!(said(summary), "nothing is limited by the result");
        summary.notes = 1;
        assert_eq!(
            said(summary),
            "nothing is limited by the result; 1 remark in it"
        );
        (summary.zones, summary.servers, summary.limits) = (1, 2, 3);
        summary.notes = 0;
        assert_eq!(said(summary), "3 limits in 2 servers, with 1 zone");
    }
}
