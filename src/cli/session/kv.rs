//! Secrets of the KV engine, by a path that begins with its mount (OpenBao API, KV version 2 and 1).

use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use super::server::Question;
use super::{SecretValue, Session, Stop};
use crate::secrets::SecretPath;
use crate::trust::Method;

const JSON: &str = "application/json";
const MERGE_PATCH: &str = "application/merge-patch+json";

/// A mount of the KV engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    /// Without slashes at its ends.
    path: String,
    /// Whether it keeps versions.
    versioned: bool,
}

/// A mount, and the path within it, which is empty for the mount itself.
struct Within {
    mount: Mount,
    path: String,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::cli) struct Writing {
    /// Only if this is the current version; 0: only if there is none.
    pub(in crate::cli) cas: Option<u64>,
    /// Merge into what is there (RFC 7396).
    pub(in crate::cli) patch: bool,
}

#[derive(Deserialize)]
struct Data<T> {
    data: T,
}

#[derive(Deserialize)]
struct MountTold {
    path: String,
    #[serde(default)]
    options: Option<Options>,
}

#[derive(Deserialize)]
struct Options {
    #[serde(default)]
    version: Option<String>,
}

#[derive(Deserialize)]
struct Keys {
    keys: Vec<String>,
}

#[derive(Deserialize)]
struct Written {
    version: u64,
}

impl Session<'_> {
    /// Reads a secret, all of its fields.
    pub(in crate::cli) async fn read(&mut self, path: &SecretPath, version: Option<u64>) -> Result<SecretValue, Stop> {
        let Within { mount, path } = self.within(path).await?;
        if version.is_some() && !mount.versioned {
            return Err(keeps_none(&mount));
        }
        let version = version.map(|version| version.to_string());
        let question = Question {
            method: Method::Get,
            path: mount.addressed("data", &path),
            query: version.as_deref().map(|version| ("version", version)),
            body: None,
        };
        let body = self.ask(question).await.map_err(|stop| hinted(stop, &mount, &path))?;
        SecretValue::read(&body, mount.versioned).ok_or_else(odd)
    }

    /// The names in a folder; those of folders end with a slash.
    pub(in crate::cli) async fn list(&mut self, folder: &SecretPath) -> Result<Vec<String>, Stop> {
        let Within { mount, path } = self.within(folder).await?;
        let folder = format!("{path}/");
        let folder = if path.is_empty() { "" } else { &folder };
        let question = Question {
            method: Method::Get,
            path: mount.addressed("metadata", folder),
            query: Some(("list", "true")),
            body: None,
        };
        let body = self.ask(question).await.map_err(|stop| hinted(stop, &mount, &path))?;
        let told: Data<Keys> = serde_json::from_slice(&body).map_err(|_| odd())?;
        Ok(told.data.keys)
    }

    /// Writes a value, a JSON object. Gives the new version, where the mount keeps versions.
    pub(in crate::cli) async fn write(
        &mut self,
        path: &SecretPath,
        value: &str,
        writing: Writing,
    ) -> Result<Option<u64>, Stop> {
        let Within { mount, path } = self.within(path).await?;
        if !mount.versioned {
            if writing != Writing::default() {
                return Err(keeps_none(&mount));
            }
            let body = Some((JSON, value.as_bytes()));
            let path = mount.addressed("data", &path);
            self.ask(Question { method: Method::Post, path, query: None, body }).await?;
            return Ok(None);
        }
        let options = writing.cas.map_or_else(String::new, |cas| format!(r#","options":{{"cas":{cas}}}"#));
        let body = Zeroizing::new([r#"{"data":"#, value, &options, "}"].concat());
        let (method, media_type) = if writing.patch { (Method::Patch, MERGE_PATCH) } else { (Method::Post, JSON) };
        let question = Question {
            method,
            path: mount.addressed("data", &path),
            query: None,
            body: Some((media_type, body.as_bytes())),
        };
        let answer = self.ask(question).await.map_err(|stop| hinted(stop, &mount, &path))?;
        let told: Data<Written> = serde_json::from_slice(&answer).map_err(|_| odd())?;
        Ok(Some(told.data.version))
    }

    /// What is known of a secret and its versions, as the server tells it.
    pub(in crate::cli) async fn metadata(&mut self, path: &SecretPath) -> Result<Value, Stop> {
        let Within { mount, path } = self.within(path).await?;
        if !mount.versioned {
            return Err(keeps_none(&mount));
        }
        let path_asked = mount.addressed("metadata", &path);
        let question = Question { method: Method::Get, path: path_asked, query: None, body: None };
        let body = self.ask(question).await.map_err(|stop| hinted(stop, &mount, &path))?;
        let told: Data<Value> = serde_json::from_slice(&body).map_err(|_| odd())?;
        Ok(told.data)
    }

    async fn ask(&mut self, question: Question<'_>) -> Result<Zeroizing<Vec<u8>>, Stop> {
        let token = self.token().await?;
        self.server.ask(&token, question).await
    }

    /// Where the mount ends: no guess is made, the server is asked once for each.
    async fn within(&mut self, path: &SecretPath) -> Result<Within, Stop> {
        let known = self.mounts.iter().find_map(|mount| mount.within(path.as_str()));
        if let Some(within) = known {
            return Ok(within);
        }
        let question = Question {
            method: Method::Get,
            path: ["sys/internal/ui/mounts", path.as_str(), ""],
            query: None,
            body: None,
        };
        let body = match self.ask(question).await {
            // The text tells the difference between a token that is no good and a place that it does not open.
            Err(Stop::No(text)) if text.contains("preflight") => {
                return Err(Stop::No("there is no mount there in which this workload may see anything".to_owned()));
            }
            other => other?,
        };
        let told: Data<MountTold> = serde_json::from_slice(&body).map_err(|_| odd())?;
        let version = told.data.options.and_then(|options| options.version);
        let mount =
            Mount { path: told.data.path.trim_matches('/').to_owned(), versioned: version.as_deref() == Some("2") };
        let within = mount.within(path.as_str()).ok_or_else(odd)?;
        self.mounts.push(mount);
        Ok(within)
    }
}

impl Mount {
    fn within(&self, path: &str) -> Option<Within> {
        let rest = path.strip_prefix(self.path.as_str())?;
        let rest = if rest.is_empty() { rest } else { rest.strip_prefix('/')? };
        Some(Within { mount: self.clone(), path: rest.to_owned() })
    }

    /// The parts of an address below `/v1`; mounts without versions have no word in the middle.
    fn addressed<'p>(&'p self, word: &'p str, path: &'p str) -> [&'p str; 3] {
        [&self.path, if self.versioned { word } else { "" }, path]
    }
}

fn keeps_none(mount: &Mount) -> Stop {
    Stop::No(format!("the mount `{}` keeps no versions (KV version 1)", mount.path))
}

fn odd() -> Stop {
    Stop::Failed("the answer is not one of the KV engine; is this URL cambio's?".to_owned())
}

/// Who knows the API writes its path; who knows the command line does not.
fn hinted(stop: Stop, mount: &Mount, path: &str) -> Stop {
    let api_word = path.split_once('/').filter(|(word, _)| mount.versioned && ["data", "metadata"].contains(word));
    match (stop, api_word) {
        (Stop::No(text), Some((word, rest))) => {
            Stop::No(format!("{text}\n  leave out `{word}/`, which belongs to the API: `{}/{rest}`", mount.path))
        }
        (stop, _) => stop,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("secrets/kv", "secrets/kv/app/db", Some("app/db"))]
    #[case("secrets/kv", "secrets/kv", Some(""))]
    #[case("secrets/kv", "secrets/kv2/app", None)]
    #[case("secrets/kv", "secrets", None)]
    fn a_path_is_within_a_mount_by_whole_segments(
        #[case] mount: &str,
        #[case] path: &str,
        #[case] expected: Option<&str>,
    ) {
        let mount = Mount { path: mount.to_owned(), versioned: true };
        assert_eq!(mount.within(path).map(|within| within.path).as_deref(), expected);
    }

    #[test]
    fn who_writes_the_path_of_the_api_is_told() {
        let mount = Mount { path: "secret".to_owned(), versioned: true };
        let stop = hinted(Stop::No("nothing".to_owned()), &mount, "data/app/db");
        assert_eq!(stop.to_string(), "nothing\n  leave out `data/`, which belongs to the API: `secret/app/db`");
        let as_it_is = Stop::No("nothing".to_owned());
        assert_eq!(hinted(as_it_is.clone(), &mount, "app/db"), as_it_is);
    }
}
