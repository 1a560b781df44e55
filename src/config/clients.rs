//! `clients`: who may introspect, and the secrets by which they prove who they are, from files and from the environment.

use std::path::Path;

use zeroize::Zeroizing;

use super::Problem;
use super::file::ClientFile;
use crate::http::oauth::Client;
use crate::state::read_private_file;

/// The longest secret of a resource server, in bytes.
const MAX_SECRET_BYTES: usize = 4096;

pub(super) fn resource_server(client: ClientFile, base: &Path, problems: &mut Vec<Problem>) -> Option<Client> {
    let place = format!("clients.{}", client.id);
    let secret = match &client.secret_file {
        Some(file) => secret_from_file(&base.join(file)),
        None => secret_from_environment(&client.id),
    };
    match secret {
        Ok(secret) if secret.trim_end().len() >= 16 => {
            Some(Client::new(client.id, secret.trim_end().as_bytes(), client.targets))
        }
        Ok(_) => {
            let fix = "use at least 16 characters, e.g. from `openssl rand -base64 32`";
            problems.push(Problem::new(&place, "the secret is too short", fix));
            None
        }
        Err(error) => {
            let fix = "give `secret_file`, or the environment variable CAMBIO_CLIENT_<ID>_SECRET";
            problems.push(Problem::new(&place, error, fix).of_a_secret());
            None
        }
    }
}

/// A file that nobody else may read: a mode wider than 0640 is refused.
pub(super) fn secret_from_file(path: &Path) -> Result<Zeroizing<String>, String> {
    let bytes = read_private_file(path, MAX_SECRET_BYTES, 0o640).map_err(|error| error.to_string())?;
    let text = std::str::from_utf8(&bytes).map_err(|_| format!("`{}` is not text", path.display()))?;
    Ok(Zeroizing::new(text.to_owned()))
}

#[allow(clippy::disallowed_methods, reason = "secrets are what the environment is for")]
fn secret_from_environment(id: &str) -> Result<Zeroizing<String>, String> {
    let plain: String =
        id.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    let name = format!("CAMBIO_CLIENT_{plain}_SECRET");
    std::env::var(&name).map(Zeroizing::new).map_err(|_| format!("no secret: `{name}` is not set"))
}
