//! What whoever runs the load asks of the origin while it runs: one line each, answered by "done".

use std::time::Duration;

use testkit::registry::{Fault, Registry};

/// Does what a line says: `fault status 503`, `fault delay 20`, `clear`, or `requests`, which is answered by how many there
/// were since it was last asked.
///
/// # Errors
/// What is wrong with the line.
pub(crate) fn obey(origin: &Registry, line: &str) -> Result<String, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        ["fault", "status", status] => {
            let status = status.parse().map_err(|_| format!("{status}: no status"))?;
            origin.fault(|_| true, Fault::Status(status));
        }
        ["fault", "delay", milliseconds] => {
            let milliseconds = milliseconds.parse().map_err(|_| format!("{milliseconds}: no time"))?;
            origin.fault(|_| true, Fault::Delay(Duration::from_millis(milliseconds)));
        }
        ["clear"] => origin.clear_faults(),
        ["requests"] => {
            let count = origin.requests().len();
            origin.clear_requests();
            return Ok(format!("done {count}"));
        }
        _ => return Err(format!("{line:?} is not understood")),
    }
    Ok("done".to_owned())
}
