//! Where records are written to.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::unix::net::UnixDatagram,
    path::PathBuf,
};

use super::{form::Form, sink::LogError};
use crate::policy::{ErrorLog, LogFormat, LogTarget};

/// Of systemd-journald(8).
const JOURNAL: &str = "/run/systemd/journal/socket";

/// An open target.
pub(super) enum Target {
    /// Standard error.
    Stderr,
    /// A file.
    File(LogFile),
    /// The journal. By its path each time: it may have started anew.
    Journal(UnixDatagram),
}

/// Opens the target, and says what records look like there.
pub(super) fn open(error_log: &ErrorLog) -> Result<(Target, Form), LogError> {
    let form = match error_log.format {
        LogFormat::Text => Form::Text,
        LogFormat::Json => Form::Json,
    };
    Ok(match &error_log.target {
        LogTarget::Stderr => (Target::Stderr, form),
        LogTarget::File(path) => {
            let file = LogFile::open(path.clone());
            let error = |e| LogError::new("open error_log", path.display().to_string(), e);
            (Target::File(file.map_err(error)?), form)
        }
        LogTarget::Journal => {
            let error = |e: io::Error| {
                let cause = format!("{JOURNAL}: {e}; is systemd-journald running?");
                LogError::new("open error_log", "journal", cause)
            };
            let socket = UnixDatagram::unbound().map_err(error)?;
            // Nobody listens to an empty message, but somebody must take it.
            socket.send_to(&[], JOURNAL).map_err(error)?;
            (Target::Journal(socket), Form::Journal)
        }
    })
}

impl Target {
    /// Writes one record.
    pub(super) fn write(&mut self, record: &[u8]) -> io::Result<()> {
        match self {
            Self::Stderr => io::stderr().write_all(record),
            Self::File(file) => file.write(record),
            Self::Journal(socket) => socket.send_to(record, JOURNAL).map(drop),
        }
    }

    /// Begins anew with the file of the same path, if it is one.
    pub(super) fn reopen(&mut self) -> Result<(), LogError> {
        let Self::File(file) = self else {
            return Ok(());
        };
        let path = file.path.clone();
        let error = |e| {
            let cause = format!("{e}; the one that was open goes on");
            LogError::new("reopen error_log", path.display().to_string(), cause)
        };
        *file = LogFile::open(path.clone()).map_err(error)?;
        Ok(())
    }

    /// Whether whoever reads standard error reads this.
    pub(super) fn is_stderr(&self) -> bool {
        matches!(self, Self::Stderr)
    }
}

/// A file that lines are appended to.
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    /// Only a part of the last line has been written.
    is_torn: bool,
}

impl LogFile {
    fn open(path: PathBuf) -> io::Result<Self> {
        Ok(Self {
            file: OpenOptions::new().append(true).create(true).open(&path)?,
            path,
            is_torn: false,
        })
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if self.is_torn {
            self.file.write_all(b"\n")?;
            self.is_torn = false;
        }
        let mut rest = line;
        while !rest.is_empty() {
            match self.file.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    rest = &rest[written..];
                    self.is_torn = !rest.is_empty();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
