//! Reading all references of a command, again and again. Decides that a round is all or nothing.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::time::Duration;

use tokio::sync::mpsc::Sender;
use zeroize::Zeroizing;

use super::variables::Collected;
use crate::cli::CliError;
use crate::cli::session::{Backoff, Place, Readings, Session, Stop, jittered, warn};

/// How often is read where nothing says how long the token lives.
const EVERY: Duration = Duration::from_secs(60);

/// The values of one round, in the order of the references.
pub(super) type Values = Vec<Zeroizing<String>>;

/// Where the references lead.
pub(super) struct Rounds {
    places: Vec<(String, Place)>,
}

impl Rounds {
    pub(super) fn new(collected: &Collected, session: &Session<'_>) -> Result<Self, CliError> {
        let place = |(name, reference): &(std::ffi::OsString, _)| {
            session.place_of(reference).map(|place| (name.to_string_lossy().into_owned(), place))
        };
        Ok(Self { places: collected.references.iter().map(place).collect::<Result<_, _>>()? })
    }

    /// Every value, or what is wrong with each that there is not, by the names of their variables. A command without
    /// references needs no token, so none is asked for.
    pub(super) async fn read(&self, session: &mut Session<'_>) -> Result<Values, Stop> {
        if self.places.is_empty() {
            return Ok(Vec::new());
        }
        // Why there is no token is said once, not once for each variable.
        session.token().await?;
        let mut readings = Readings::default();
        let (mut values, mut faults) = (Vec::with_capacity(self.places.len()), Vec::new());
        for (name, place) in &self.places {
            match readings.value(session, place).await {
                Ok(value) if value.contains('\0') => {
                    let text = "the value has a zero byte, which no variable can have".to_owned();
                    faults.push((name, Stop::No(text)));
                }
                Ok(value) => values.push(value),
                Err(stop) => faults.push((name, stop)),
            }
        }
        if faults.is_empty() { Ok(values) } else { Err(together(&faults)) }
    }

    /// Reads again, until the command ends, and tells of values that are not those of before. The first are `known`.
    pub(super) async fn again(
        &self,
        session: &mut Session<'_>,
        mut known: Values,
        every: Option<Duration>,
        tell: Sender<Values>,
    ) -> Infallible {
        let mut backoff = Backoff::default();
        let mut wait = every_now(session, every);
        loop {
            tokio::time::sleep(wait).await;
            let renewed = session.renew_when_due().await;
            let read = self.read(session).await;
            wait = match (renewed, read) {
                (Ok(()), Ok(values)) => {
                    if values != known {
                        known.clone_from(&values);
                        // Whoever listens has ended otherwise, and this with it.
                        let _ = tell.send(values).await;
                    }
                    backoff.reset();
                    every_now(session, every)
                }
                (Err(stop), _) | (_, Err(stop)) => {
                    let wait = backoff.next();
                    warn(&format!(
                        "the command goes on with what it has: {stop}\n  trying again in {} s",
                        wait.as_secs()
                    ));
                    wait
                }
            };
        }
    }
}

fn every_now(session: &Session<'_>, every: Option<Duration>) -> Duration {
    let half = session.lifetime().map_or(EVERY, |life| jittered(life / 2));
    every.unwrap_or(half).max(Duration::from_secs(1))
}

/// What could not be asked outweighs what was refused: trying again may help.
fn together(faults: &[(&String, Stop)]) -> Stop {
    let mut text = "these references have no value; a command is started with all of them or not at all".to_owned();
    for (name, stop) in faults {
        let _ = write!(text, "\n  {name}: {}", stop.to_string().replace('\n', "\n    "));
    }
    let failed = faults.iter().any(|(_, stop)| matches!(stop, Stop::Failed(_)));
    if failed { Stop::Failed(text) } else { Stop::No(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variable_without_a_value_is_named_and_what_may_pass_outweighs_a_refusal() {
        let (a, b) = ("A".to_owned(), "B".to_owned());
        let no = (&a, Stop::No("nothing there\n  hint".to_owned()));
        let stop = together(std::slice::from_ref(&no));
        assert!(matches!(&stop, Stop::No(text) if text.ends_with("\n  A: nothing there\n      hint")), "{stop}");
        let stop = together(&[no, (&b, Stop::Failed("no connection".to_owned()))]);
        assert!(matches!(&stop, Stop::Failed(text) if text.contains("\n  B: no connection")), "{stop}");
    }
}
