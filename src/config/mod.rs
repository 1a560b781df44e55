//! The configuration: from the file that an operator writes to what the parts are opened with.
//!
//! Decides what a good configuration is, and says everything that is wrong with a bad one at once, with what to do.
//! Refuses to open anything: that is `app`. The environment is read here only, and for secrets only.

mod audit;
mod bytes;
mod clients;
mod file;
mod fixed;
mod footprint;
mod origin;
mod ourselves;
mod problem;
mod rest;
mod secrets;
mod signing_keys;
mod state;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clients::secret_from_file;
use file::ConfigFile;
pub use fixed::Fixed;
pub use footprint::Footprint;
pub use origin::Origin;
use ourselves::{no_direct_administrators, not_ourselves, not_reserved, own_issuer};
pub use problem::{ConfigError, Problem};
pub use secrets::{MasterKeySource, MountSettings, SecretsSettings, StoreName};

use crate::accounts::AccountSettings;
use crate::audit::{DecisionRetention, JournalSettings};
use crate::exchange::{LoginMounts, Tenants};
use crate::http::oauth::Client;
use crate::http::{ServerLimits, TlsSettings};
use crate::identity::{IssuerUrl, TargetName};
use crate::limits::LimitSettings;
use crate::mint::KeySettings;
use crate::policy::Catalog;
use crate::state::counters::CountersSettings;
use crate::state::database::DatabaseUrl;
use crate::telemetry::LogSettings;
use crate::trust::{Fetcher, IssuerFault, Issuers, Platforms};

/// The largest configuration file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// A checked configuration.
pub struct Config {
    /// Our own issuer identifier.
    pub issuer: IssuerUrl,
    /// Where the surfaces listen.
    pub listen: SocketAddr,
    /// Where the platform team's endpoints listen.
    pub ops_listen: SocketAddr,
    /// TLS for the surfaces.
    pub tls: Option<TlsSettings>,
    /// The data directory.
    pub data: PathBuf,
    /// The directory of policy files.
    pub policies: PathBuf,
    /// The target of requests that name none.
    pub default_target: Option<TargetName>,
    /// The trusted issuers, their keys not yet fetched.
    pub issuers: Issuers,
    /// Our signing keys.
    pub keys: KeySettings,
    /// The size of the cache of verified tokens, in bytes.
    pub verified_token_cache: u64,
    /// How many single-use tokens are remembered.
    pub replay_capacity: usize,
    /// The audit journal.
    pub audit: JournalSettings,
    /// How long decisions stay in the store; none: they are not put there.
    pub decisions: Option<DecisionRetention>,
    /// Who may introspect.
    pub clients: Vec<Client>,
    /// Logging.
    pub log: LogSettings,
    /// Bounds on connections.
    pub limits: ServerLimits,
    /// How much of what one caller may ask for.
    pub rate_limits: LimitSettings,
    /// Where secrets live.
    pub secrets: SecretsSettings,
    /// The mounts of Vault logins.
    pub logins: LoginMounts,
    /// Bounds of service accounts, where the operator wants some or says so.
    pub service_accounts: Option<AccountSettings>,
    /// The target that a token of an administrator is for; none where the administration is off.
    pub admin_target: Option<TargetName>,
    /// The counters that replicas share, if they do.
    pub counters: Option<CountersSettings>,
    /// The database that replicas share, if they do; else a file in the data directory.
    pub database: Option<DatabaseUrl>,
    /// The projects and groups of the REST API.
    pub tenants: Tenants,
    /// Where all this can be read again.
    pub origin: Origin,
    /// The files and directories that decide about exchanges.
    pub places: Vec<PathBuf>,
    /// How those looked before they were read.
    pub footprint: Footprint,
    /// What only a restart takes up.
    pub fixed: Fixed,
}

/// Whether secrets that the configuration names have to be there.
#[derive(Clone, Copy)]
enum Secrets {
    Needed,
    LeftOut,
}

impl Config {
    /// Reads and checks a configuration file. Relative paths in it are relative to its directory.
    ///
    /// # Errors
    /// [`ConfigError`] with every problem that was found.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::read(path, Secrets::Needed)
    }

    /// The same, to look at policies: on a machine where the secrets that the configuration names are not, and need not be. Nothing
    /// can be served with it.
    ///
    /// # Errors
    /// As [`Config::load`], but for secrets that are missing or cannot be read.
    pub fn load_without_secrets(path: &Path) -> Result<Self, ConfigError> {
        Self::read(path, Secrets::LeftOut)
    }

    fn read(path: &Path, secrets: Secrets) -> Result<Self, ConfigError> {
        let unreadable = |error: std::io::Error| ConfigError::Unreadable(path.to_owned(), error);
        if fs::metadata(path).map_err(unreadable)?.len() > MAX_FILE_BYTES {
            return Err(ConfigError::TooLarge(path.to_owned()));
        }
        // Looked at before it is read: what changes in between is then seen by the next look.
        let places = vec![path.to_owned()];
        let footprint = Footprint::of(&places);
        let text = fs::read_to_string(path).map_err(unreadable)?;
        let base = path.parent().unwrap_or(Path::new("."));
        let config = Self::checked(&text, base, secrets).map_err(|error| error.in_file(path))?;
        Ok(Self {
            origin: Origin::File(path.to_owned()),
            places: places.into_iter().chain(config.places).collect(),
            footprint: footprint.and(config.footprint),
            ..config
        })
    }

    /// Checks the text of a configuration file; relative paths are relative to `base`.
    ///
    /// # Errors
    /// [`ConfigError`] with every problem that was found.
    pub fn parse(text: &str, base: &Path) -> Result<Self, ConfigError> {
        Self::checked(text, base, Secrets::Needed)
    }

    fn checked(text: &str, base: &Path, wanted: Secrets) -> Result<Self, ConfigError> {
        let file: ConfigFile = serde_saphyr::from_str(text).map_err(|error| ConfigError::Shape(error.to_string()))?;
        let mut problems = Vec::new();
        let fixed = Fixed::of(&file);
        let places: Vec<PathBuf> =
            [Some(&file.policies), file.platforms.as_ref()].into_iter().flatten().map(|path| base.join(path)).collect();
        let footprint = Footprint::of(&places);
        let issuer = own_issuer(&file.issuer, &mut problems);
        let platforms = platforms(file.platforms.as_deref().map(|path| base.join(path)), &mut problems);
        let issuers = Issuers::from_settings(settings_below(file.issuers, base), &platforms, &Fetcher::new());
        let issuers = issuers.map_err(|faults| problems.extend(faults.iter().map(from_fault))).unwrap_or_default();
        if let Some(own) = &issuer {
            not_ourselves(own, &issuers, &mut problems);
        }
        not_reserved(&issuers, &mut problems);
        let data = base.join(&file.data);
        let clients = file
            .clients
            .into_iter()
            .filter_map(|client| clients::resource_server(client, base, &mut problems))
            .collect();
        let secrets = SecretsSettings::of(file.secrets, base, &mut problems);
        let admin_target = file.admin.map(|admin| admin.target);
        no_direct_administrators(admin_target.as_ref(), &secrets.direct, &mut problems);
        let logins = secrets::login_mounts(file.vault, &mut problems);
        let counters = state::counters(file.state.counters, base, &mut problems);
        let names_a_database = file.state.database.is_some();
        let database = state::database(file.state.database, base, &mut problems);
        let names_a_database = names_a_database || database.is_some();
        let keys = signing_keys::of(file.tokens, &data, base, names_a_database, &mut problems);
        if names_a_database && matches!(secrets.master_key, MasterKeySource::DataDirectory) {
            problems.push(Problem::new(
                "secrets.master_key_file",
                "is needed with a database that replicas share: all of them need the same key",
                "make one by `openssl rand -hex 32`, and name its file, or put it into CAMBIO_MASTER_KEY, on every replica",
            ));
        }
        let tenants = file.rest.checked(&secrets, &mut problems);
        let decisions = file.audit.decisions.retention();
        let audit = audit::journal(file.audit, &data, base, &mut problems);
        if let Secrets::LeftOut = wanted {
            problems.retain(|problem| !problem.is_of_a_secret());
        }
        let (Some(issuer), true) = (issuer, problems.is_empty()) else {
            return Err(ConfigError::Problems(problems));
        };
        Ok(Self {
            issuer,
            listen: file.listen,
            ops_listen: file.ops_listen,
            tls: file.tls.map(|tls| TlsSettings { certificate: base.join(tls.certificate), key: base.join(tls.key) }),
            policies: base.join(&file.policies),
            default_target: file.default_target,
            issuers,
            keys,
            verified_token_cache: file.verified_token_cache.bytes(),
            replay_capacity: file.replay.capacity,
            audit,
            decisions,
            data,
            clients,
            log: file.log,
            secrets,
            logins,
            service_accounts: file.service_accounts,
            admin_target,
            counters,
            database,
            tenants,
            limits: ServerLimits {
                connections: file.limits.connections,
                connections_per_address: file.limits.connections_per_address,
                header_timeout: file.limits.header_timeout.duration(),
                shutdown_grace: file.limits.shutdown_grace.duration(),
                trusted_proxies: file.http.trusted_proxies.into(),
            },
            rate_limits: file.rate_limits,
            origin: Origin::Text(text.to_owned(), base.to_owned()),
            places,
            footprint,
            fixed,
        })
    }

    /// The trusted issuers, as policies may use them.
    #[must_use]
    pub fn catalog(&self) -> Catalog {
        Catalog::of(&self.issuers)
    }
}

fn platforms(directory: Option<PathBuf>, problems: &mut Vec<Problem>) -> Platforms {
    let mut platforms = Platforms::embedded();
    if let Some(Err(errors)) = directory.map(|directory| platforms.add_directory(&directory)) {
        let fix = "platforms/ in the source has an example for each kind";
        problems.extend(errors.iter().map(|error| Problem::new("platforms", error, fix)));
    }
    platforms
}

fn settings_below(settings: Vec<crate::trust::IssuerSettings>, base: &Path) -> Vec<crate::trust::IssuerSettings> {
    settings.into_iter().map(|issuer| issuer.below(base)).collect()
}

fn from_fault(fault: &IssuerFault) -> Problem {
    Problem::new(&format!("issuers.{}", fault.issuer()), fault.fault(), "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const GOOD: &str = "
issuer: https://cambio.example.com
issuers:
  - name: gitlab
    platform: gitlab
    issuer: https://gitlab.example.com
    audiences: [https://cambio.example.com]
";

    fn problems(text: &str) -> String {
        match Config::parse(text, Path::new("/etc/cambio")) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_short_file_is_enough_and_paths_are_relative_to_it() {
        let config = Config::parse(GOOD, Path::new("/etc/cambio")).unwrap();
        assert_eq!(config.policies, Path::new("/etc/cambio/policies"));
        assert_eq!(config.data, Path::new("/etc/cambio/cambio-data"));
        assert_eq!(config.catalog().len(), 1);
    }

    #[rstest]
    #[case("issuer: https://cambio.example.com", "issuer: nonsense", "issuer: ")]
    #[case("issuer: https://cambio.example.com", "issuer: http://cambio.example.com", "must be an https URL")]
    #[case("issuer: https://cambio.example.com", "issuer: http://8.8.8.8:8200", "must be an https URL")]
    #[case("issuer: https://cambio.example.com", "isuer: https://cambio.example.com", "isuer")]
    #[case("platform: gitlab", "platform: gitlabb", "gitlab")]
    #[case("gitlab\n    issuer: https://gitlab", "generic\n    issuer: https://cambio", "its own tokens")]
    #[case("name: gitlab", "name: service-accounts", "cambio's own service accounts")]
    #[case("issuers:", "service_accounts: {max_life: 1d}\nissuers:", "max_life")]
    #[case("issuers:", "service_accounts: {approval: nobody}\nissuers:", "nobody")]
    #[case("audiences: [https://cambio.example.com]", "audiences: []", "audience")]
    #[case("    audiences", "    extra: 1\n    audiences", "extra")]
    #[case("issuers:", "tokens: {algorithm: HS256}\nissuers:", "HS256")]
    #[case("issuers:", "tokens: {keys: redis}\nissuers:", "redis")]
    #[case("issuers:", "tokens: {keys: database, signing_key_files: [a.pem]}\nissuers:", "exclude each other")]
    #[case(
        "issuers:",
        "admin: {target: a}\nsecrets: {openbao: [{name: bao, address: 'http://127.0.0.1:8200'}], direct: [{targets: [a], openbao: bao}]}\nissuers:",
        "no OpenBao gets"
    )]
    #[case("issuers:", "clients: [{id: rs, targets: [a]}]\nissuers:", "CAMBIO_CLIENT_RS_SECRET")]
    fn one_mistake_is_said(#[case] good: &str, #[case] bad: &str, #[case] said: &str) {
        let text = GOOD.replacen(good, bad, 1);
        assert_ne!(text, GOOD);
        let problems = problems(&text);
        assert!(problems.contains(said), "{problems}");
    }

    #[rstest]
    #[case::a_database("state: {database: {url_file: nowhere}}\nsecrets: {master_key_file: nowhere}", true)]
    #[case::counters("state: {counters: {url_file: nowhere}}", true)]
    #[case::a_client("clients: [{id: rs, secret_file: nowhere, targets: [a]}]", true)]
    #[case::none_that_is_needed("state: {database: {url_file: nowhere}}", false)]
    #[case::another_mistake("clients: [{id: rs, secret_file: nowhere, targets: [a]}]\ntls: {certificate: a}", false)]
    fn policies_can_be_looked_at_where_secrets_are_not(#[case] section: &str, #[case] good: bool) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("cambio.yaml");
        fs::write(&file, GOOD.replacen("issuers:", &format!("{section}\nissuers:"), 1)).unwrap();
        assert!(Config::load(&file).is_err(), "nothing is served without them");
        assert_eq!(Config::load_without_secrets(&file).is_ok(), good);
    }

    #[rstest]
    #[case("http://127.0.0.1:8200")]
    #[case("http://[::1]:8200")]
    #[case("http://10.1.2.3")]
    #[case("http://localhost:8200")]
    #[case("http://cambio:8200")]
    #[case("http://cambio.vault.svc.cluster.local")]
    fn plain_http_is_for_this_machine_and_private_networks(#[case] issuer: &str) {
        assert_eq!(problems(&GOOD.replacen("https://cambio.example.com", issuer, 1)), "");
    }

    #[test]
    fn a_secret_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let (text, file) =
            (format!("{GOOD}clients: [{{id: rs, secret_file: s, targets: [a]}}]"), directory.path().join("s"));
        fs::write(&file, "a secret of 24 characters").unwrap();
        for (mode, good) in [(0o600, true), (0o440, true), (0o644, false), (0o604, false)] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(Config::parse(&text, directory.path()).is_ok(), good, "{mode:o}");
        }
    }

    #[test]
    fn several_mistakes_are_said_at_once() {
        let text = GOOD.replace("platform: gitlab", "platform: x").replacen("https://cambio", "ftp://cambio", 1);
        let problems = problems(&text);
        assert!(problems.contains("ftp") && problems.contains("`x`"), "{problems}");
    }
}
