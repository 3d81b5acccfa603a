//! The file that every decision is written to: a line each.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;

use super::{Record, cloud_event, told};

/// How a line tells of a decision.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// As the admin listener does.
    Json,
    /// As a CloudEvent.
    CloudEvents,
}

/// A file that grows by a line for each decision. When it has grown to its limit it is renamed, to the same name with `.1`
/// behind it, and begun anew.
#[derive(Debug)]
pub(crate) struct Audit(SyncSender<Arc<Record>>);

/// How many decisions may wait to be written. Whoever asks does not wait for a disk: more than that are counted as lost.
const WAITING: usize = 16 * 1024;

pub(super) struct Writer {
    path: PathBuf,
    limit: u64,
    format: Format,
    file: BufWriter<File>,
    length: u64,
}

impl Audit {
    /// Writes to a file, which is made readable for its owner alone, in a thread that ends with this.
    ///
    /// # Errors
    /// Whatever keeps the file from being opened.
    pub(crate) fn open(path: &Path, limit: u64, format: Format) -> io::Result<Self> {
        let mut writer = Writer::open(path.to_owned(), limit, format)?;
        let (sender, receiver) = sync_channel(WAITING);
        thread::Builder::new().name("audit".to_owned()).spawn(move || writer.run(&receiver))?;
        Ok(Self(sender))
    }

    pub(super) fn write(&self, record: Arc<Record>) {
        match self.0.try_send(record) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => crate::metrics::audit_lost(1),
        }
    }
}

impl Writer {
    pub(super) fn open(path: PathBuf, limit: u64, format: Format) -> io::Result<Self> {
        let file = append_to(&path)?;
        let length = file.metadata()?.len();
        Ok(Self { path, limit, format, file: BufWriter::new(file), length })
    }

    pub(super) fn run(&mut self, records: &Receiver<Arc<Record>>) {
        while let Ok(record) = records.recv() {
            let mut written = self.line(&record);
            let mut count = 1;
            // What waits already goes with it.
            while written.is_ok()
                && let Ok(record) = records.try_recv()
            {
                written = self.line(&record);
                count += 1;
            }
            if let Err(error) = written.and_then(|()| self.file.flush()) {
                tracing::error!(%error, path = %self.path.display(), "decisions cannot be written to audit.path");
                crate::metrics::audit_lost(count);
            }
        }
    }

    fn line(&mut self, record: &Record) -> io::Result<()> {
        let told = match self.format {
            Format::Json => told(record),
            Format::CloudEvents => cloud_event(record),
        };
        let mut line = told.to_string();
        line.push('\n');
        let length = line.len() as u64;
        if self.length > 0 && self.length + length > self.limit {
            self.begin_anew()?;
        }
        self.file.write_all(line.as_bytes())?;
        self.length += length;
        Ok(())
    }

    fn begin_anew(&mut self) -> io::Result<()> {
        self.file.flush()?;
        let mut before = self.path.clone().into_os_string();
        before.push(".1");
        std::fs::rename(&self.path, before)?;
        self.file = BufWriter::new(append_to(&self.path)?);
        self.length = 0;
        Ok(())
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}
