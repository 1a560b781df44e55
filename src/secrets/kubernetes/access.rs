//! How a cluster is reached: one `GET` of one Secret, bounded in time and size, over verified TLS, with a token that is read
//! anew. Decides what a kubeconfig may ask for; refuses to know whose a Secret is.
//!
//! The client sends, and nothing else of the crate `kube` is used to read: its typed calls log an answer that they can't
//! parse, and that answer would be a Secret (`kube_client::Client::request`).

use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::BodyExt as _;
use kube::client::Body;
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use kube::core::Request;
use kube::core::params::GetParams;
use kube::{Client, Config};
use tokio::io::AsyncReadExt as _;
use zeroize::Zeroizing;

use super::names::SecretName;
use super::settings::{KubernetesFault, KubernetesSettings};
use crate::secrets::KvError;

/// The most that is read of an answer, in bytes: a Secret has at most 1 MiB of values and 256 KiB of annotations.
const MAX_ANSWER_BYTES: usize = 3 * 1024 * 1024;
/// The longest bearer token, in bytes.
const MAX_TOKEN_BYTES: usize = 64 * 1024;
const MAX_KUBECONFIG_BYTES: u64 = 1024 * 1024;

/// The way to a cluster. It connects when it is used.
pub(super) struct Access {
    client: Client,
    token: Option<Token>,
    timeout: Duration,
}

/// A bearer token.
enum Token {
    /// The header `Authorization`.
    Fixed(Zeroizing<String>),
    File(PathBuf),
}

impl Access {
    /// Reads the kubeconfig, or what is in the pod. Asks the cluster nothing.
    pub(super) async fn open(settings: &KubernetesSettings) -> Result<Self, KubernetesFault> {
        let mut config = match &settings.kubeconfig {
            Some(file) => from_file(file, settings.context.as_deref()).await?,
            None => Config::incluster().map_err(|error| {
                KubernetesFault::Access(format!(
                    "`{}` has no `kubeconfig`, and this is no pod with a service account: {error}",
                    settings.name
                ))
            })?,
        };
        let timeout = settings.timeout.duration();
        let token = take_token(&mut config.auth_info)
            .map_err(|()| KubernetesFault::Access(format!("the `token` for `{}` is none", settings.name)))?;
        config.connect_timeout = Some(timeout);
        config.read_timeout = None; // the whole is bounded
        config.default_retry = false; // so is the caller's patience
        config.proxy_url = None; // whatever the environment says; a kubeconfig with a proxy is refused
        let client = Client::try_from(config).map_err(|error| {
            KubernetesFault::Access(format!("the credentials for `{}` cannot be used: {error}", settings.name))
        })?;
        Ok(Self { client, token, timeout })
    }

    /// The whole Secret, as JSON.
    pub(super) async fn get(&self, secret: &SecretName) -> Result<Zeroizing<Vec<u8>>, KvError> {
        let answer = tokio::time::timeout(self.timeout, self.get_unhurried(secret)).await;
        answer.unwrap_or(Err(KvError::Unavailable("the API server did not answer in time")))
    }

    async fn get_unhurried(&self, secret: &SecretName) -> Result<Zeroizing<Vec<u8>>, KvError> {
        let path = ["/api/v1/namespaces/", secret.namespace(), "/secrets"].concat();
        let mut request = Request::new(path)
            .get(secret.name(), &GetParams::default())
            .map_err(|_| KvError::Unavailable("the request could not be made"))?;
        if let Some(token) = &self.token {
            let value = token.header().await?.parse().map_err(|_| NO_TOKEN)?;
            request.headers_mut().insert("authorization", value);
            if let Some(value) = request.headers_mut().get_mut("authorization") {
                value.set_sensitive(true);
            }
        }
        let sent = self.client.send(request.map(Body::from)).await;
        let answer = sent.map_err(|_| KvError::Unavailable("the API server cannot be reached"))?;
        match answer.status().as_u16() {
            200 => whole(answer.into_body()).await,
            401 => Err(KvError::Unavailable("the API server does not accept cambio's credentials")),
            403 => Err(KvError::Refused("the cluster's RBAC does not let cambio read the Secret")),
            404 => Err(KvError::NotFound),
            429 => Err(KvError::Unavailable("the API server has too much to do")),
            500..=599 => Err(KvError::Unavailable("the API server failed")),
            _ => Err(KvError::Unavailable("the API server answered in a way that it should not")),
        }
    }
}

/// The whole body, up to the bound; what is left behind while it grows is zeroed.
async fn whole(mut body: Body) -> Result<Zeroizing<Vec<u8>>, KvError> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(16 * 1024));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| KvError::Unavailable("the API server's answer broke off"))?;
        let Ok(chunk) = frame.into_data() else { continue };
        let length = bytes.len().saturating_add(chunk.len());
        if length > MAX_ANSWER_BYTES {
            return Err(KvError::Unavailable("the API server's answer is larger than a Secret can be"));
        }
        if length > bytes.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(length.max(2 * bytes.capacity())));
            larger.extend_from_slice(&bytes);
            bytes = larger;
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

const NO_TOKEN: KvError = KvError::Unavailable("the file with cambio's token for the cluster holds none");

impl Token {
    /// The value of the header `Authorization`. A file is read each time: a token that was replaced counts at once.
    async fn header(&self) -> Result<Zeroizing<String>, KvError> {
        let file = match self {
            Self::Fixed(header) => return Ok(header.clone()),
            Self::File(file) => tokio::fs::File::open(file).await.map_err(|_| NO_TOKEN)?,
        };
        let mut text = Zeroizing::new(String::with_capacity(MAX_TOKEN_BYTES + 1));
        let most = u64::try_from(MAX_TOKEN_BYTES).unwrap_or(u64::MAX);
        file.take(most).read_to_string(&mut text).await.map_err(|_| NO_TOKEN)?;
        bearer(&text).ok_or(NO_TOKEN)
    }
}

/// The header for a token, which is one word; a line feed at its end is no fault.
fn bearer(text: &str) -> Option<Zeroizing<String>> {
    let token = text.trim();
    let is_word = !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic());
    is_word.then(|| Zeroizing::new(["Bearer ", token].concat()))
}

/// Takes the token away from the crate `kube`, which keeps what was in a file for a minute, and panics at a token with a
/// line feed. As in `kube`, `token` goes before `tokenFile`.
fn take_token(user: &mut AuthInfo) -> Result<Option<Token>, ()> {
    let file = user.token_file.take().map(|file| Token::File(PathBuf::from(file)));
    let only = AuthInfo { token: user.token.take(), ..AuthInfo::default() };
    // The one way to read it without the crate whose type it is.
    let mut value = serde_json::to_value(&only).map_err(|_| ())?;
    match value.get_mut("token").map(serde_json::Value::take) {
        Some(serde_json::Value::String(text)) => {
            bearer(&Zeroizing::new(text)).map(|it| Some(Token::Fixed(it))).ok_or(())
        }
        _ => Ok(file),
    }
}

async fn from_file(file: &Path, context: Option<&str>) -> Result<Config, KubernetesFault> {
    let fault = |fault: &str| KubernetesFault::Access(format!("`{}`: {fault}", file.display()));
    let size = tokio::fs::metadata(file).await.map_err(|error| fault(&error.to_string()))?.len();
    if size > MAX_KUBECONFIG_BYTES {
        return Err(fault("a kubeconfig has at most 1 MiB"));
    }
    // The parser's own words may quote a token.
    let kubeconfig = Kubeconfig::read_from(file).map_err(|_| fault("it cannot be read, or is no kubeconfig"))?;
    let asked = context.or(kubeconfig.current_context.as_deref()).unwrap_or_default();
    let chosen = kubeconfig.contexts.iter().find(|known| known.name == asked).and_then(|known| known.context.as_ref());
    let chosen = chosen.ok_or_else(|| fault("it has no such context, or no current one"))?;
    let cluster = kubeconfig.clusters.iter().find(|known| known.name == chosen.cluster);
    let cluster =
        cluster.and_then(|known| known.cluster.as_ref()).ok_or_else(|| fault("the context names no cluster"))?;
    let user = kubeconfig.auth_infos.iter().find(|known| Some(&known.name) == chosen.user.as_ref());
    let user = user.and_then(|known| known.auth_info.as_ref()).ok_or_else(|| fault("the context names no user"))?;

    let server = cluster.server.as_deref().unwrap_or_default();
    let impersonates = [user.impersonate.is_some(), user.impersonate_uid.is_some(), user.impersonate_groups.is_some()];
    let refused = [
        (!server.starts_with("https://"), "the `server` of the cluster is no `https://` URL"),
        (
            cluster.insecure_skip_tls_verify == Some(true),
            "`insecure-skip-tls-verify`: name the `certificate-authority`",
        ),
        (cluster.proxy_url.as_deref().is_some_and(|url| !url.is_empty()), "`proxy-url` is not supported"),
        (user.exec.is_some(), "`exec` runs a program; give cambio a `tokenFile` or a client certificate"),
        (
            user.auth_provider.is_some(),
            "`auth-provider` is not supported; give cambio a `tokenFile` or a client certificate",
        ),
        (user.username.is_some() || user.password.is_some(), "no API server takes a password any more"),
        (impersonates.contains(&true) || user.impersonate_user_extra.is_some(), "cambio impersonates nobody"),
    ];
    if let Some((_, why)) = refused.into_iter().find(|(refused, _)| *refused) {
        return Err(fault(why));
    }
    let authority = cluster.certificate_authority.clone().filter(|_| cluster.certificate_authority_data.is_none());
    let options = KubeConfigOptions { context: Some(asked.to_owned()), ..Default::default() };
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    let mut config = config.map_err(|_| fault("a certificate or key that it names cannot be read"))?;
    config.root_cert_file = authority.map(PathBuf::from); // read anew when it is replaced
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const GOOD: &str = "
apiVersion: v1
kind: Config
current-context: main
contexts:
  - {name: main, context: {cluster: main, user: cambio}}
  - {name: odd, context: {cluster: main, user: nobody}}
clusters:
  - name: main
    cluster:
      server: https://127.0.0.1:1
users:
  - name: cambio
    user:
      tokenFile: token
";

    async fn opened(kubeconfig: &str, more: &str) -> Result<Access, String> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config");
        std::fs::write(&file, kubeconfig).unwrap();
        let settings = format!("{{name: main, kubeconfig: '{}', labels: {{}}{more}}}", file.display());
        Access::open(&serde_saphyr::from_str(&settings).unwrap()).await.map_err(|fault| fault.to_string())
    }

    #[tokio::test]
    async fn nothing_is_asked_before_a_read() {
        let access = opened(GOOD, "").await.unwrap();
        assert!(matches!(&access.token, Some(Token::File(file)) if file.ends_with("token")));
        let secret = SecretName::new("team-a", "db").unwrap();
        assert_eq!(access.get(&secret).await.unwrap_err(), NO_TOKEN);
    }

    #[rstest]
    #[case("https://127.0.0.1:1", "http://127.0.0.1:1", "no `https://` URL")]
    #[case(
        "https://127.0.0.1:1",
        "https://127.0.0.1:1\n      insecure-skip-tls-verify: true",
        "insecure-skip-tls-verify"
    )]
    #[case("https://127.0.0.1:1", "https://127.0.0.1:1\n      proxy-url: http://p:1", "proxy-url")]
    #[case("tokenFile: token", "exec: {apiVersion: v1, command: steal-me}", "`exec` runs a program")]
    #[case("tokenFile: token", "auth-provider: {name: gcp, config: {cmd-path: steal-me}}", "auth-provider")]
    #[case("tokenFile: token", "username: steal-me\n      password: steal-me", "password")]
    #[case("tokenFile: token", "token: steal-me\n      as: admin", "impersonates nobody")]
    #[case("tokenFile: token", "token: [steal-me", "no kubeconfig")]
    #[case("tokenFile: token", "token: 'steal me'", "the `token` for `main` is none")]
    #[case("current-context: main", "current-context: other", "no such context")]
    #[case("current-context: main", "current-context: odd", "names no user")]
    #[tokio::test]
    async fn what_runs_programs_or_trusts_anybody_is_refused(#[case] from: &str, #[case] to: &str, #[case] why: &str) {
        let fault = opened(&GOOD.replace(from, to), "").await.err().unwrap();
        assert!(fault.contains(why), "{fault}");
        assert!(!fault.contains("steal-me"), "{fault}");
    }

    #[rstest]
    #[case(", context: main", true)]
    #[case(", context: other", false)]
    #[tokio::test]
    async fn a_context_is_chosen_by_its_name(#[case] more: &str, #[case] good: bool) {
        assert_eq!(opened(GOOD, more).await.is_ok(), good);
    }

    #[rstest]
    #[case("abc\n", true)]
    #[case("", false)]
    #[case("a b", false)]
    #[case("a\nb", false)]
    #[case("\u{e4}", false)]
    #[tokio::test]
    async fn a_token_is_one_word_and_read_anew(#[case] text: &str, #[case] good: bool) {
        let file = tempfile::NamedTempFile::new().unwrap();
        let token = Token::File(file.path().to_owned());
        std::fs::write(&file, text).unwrap();
        assert_eq!(token.header().await.is_ok(), good);
        std::fs::write(&file, "other").unwrap();
        assert_eq!(token.header().await.unwrap().as_str(), "Bearer other");
    }

    #[tokio::test]
    async fn a_token_in_the_kubeconfig_goes_before_a_file() {
        let access = opened(&GOOD.replace("tokenFile: token", "tokenFile: token\n      token: abc"), "").await.unwrap();
        assert_eq!(access.token.unwrap().header().await.unwrap().as_str(), "Bearer abc");
    }
}
