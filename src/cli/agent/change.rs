//! Telling somebody that files changed: a command of the operator's, which gets no token of ours.

use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::cli::session::OWN_VARIABLES;

/// How long the command may take.
const PATIENCE: Duration = Duration::from_secs(60);
const STEP: Duration = Duration::from_millis(20);

/// Runs `command` in the shell, and waits for its end.
pub(super) async fn told(command: &str) -> Result<(), String> {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", command]).stdin(Stdio::null());
    for name in OWN_VARIABLES {
        shell.env_remove(name);
    }
    let mut child = shell.spawn().map_err(|error| format!("the shell can not be run: {error}"))?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("the command ended with {status}")),
            Err(error) => return Err(format!("the command can not be waited for: {error}")),
            Ok(None) if Instant::now() >= deadline => {
                let _ = child.kill().and_then(|()| child.wait());
                return Err(format!("the command took more than {} s and was killed", PATIENCE.as_secs()));
            }
            Ok(None) => sleep(STEP).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn how_the_command_ended_is_told() {
        assert_eq!(told("exit 0").await, Ok(()));
        assert!(told("exit 3").await.unwrap_err().contains("exit status: 3"));
    }
}
