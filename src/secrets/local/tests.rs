//! The KV engine's rules, one secret at a time, many writers at a time, keys that change, and files that somebody changed.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rstest::rstest;
use zeroize::Zeroizing;

use super::*;
use crate::secrets::{MetadataPatch, MetadataUpdate, SecretMetadata, SecretPath};
use crate::state::PrivateDir;
use crate::state::real_postgres::Postgres;

const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);
const PLANTED: &str = "planted-value-a91f";

/// This file is two modules: one over a file, one over a PostgreSQL.
fn server() -> Option<Postgres> {
    module_path!().ends_with("on_postgres").then(Postgres::start).flatten()
}

struct Home {
    _dir: tempfile::TempDir,
    dir: PrivateDir,
    store: Arc<LocalStore>,
    server: Option<Postgres>,
}

fn master(byte: u8) -> MasterKey {
    MasterKey::from_text(&format!("01{}", format!("{byte:02x}").repeat(31))).unwrap()
}

fn only(byte: u8) -> MasterKeys {
    MasterKeys::new(master(byte), Vec::new()).unwrap()
}

async fn database(dir: &PrivateDir, server: Option<&Postgres>) -> Database {
    match server {
        Some(server) => Database::connect(&server.database_url(), NOW).await.unwrap(),
        None => Database::open(dir, NOW).await.unwrap(),
    }
}

async fn open(
    dir: &PrivateDir,
    server: Option<&Postgres>,
    master: MasterKeys,
    limits: LocalLimits,
) -> Result<Arc<LocalStore>, LocalError> {
    let database = database(dir, server).await;
    LocalStore::open(database, master, limits).await.map(Arc::new)
}

async fn home_with(limits: LocalLimits) -> Home {
    let temporary = tempfile::tempdir().unwrap();
    let dir = PrivateDir::open(&temporary.path().join("data")).unwrap();
    let server = server();
    let store = open(&dir, server.as_ref(), only(0xaa), limits).await.unwrap();
    Home { _dir: temporary, dir, store, server }
}

async fn home() -> Home {
    home_with(LocalLimits::default()).await
}

impl Home {
    async fn reopen(
        self,
        master: MasterKeys,
    ) -> Result<Self, (LocalError, tempfile::TempDir, PrivateDir, Option<Postgres>)> {
        let Self { _dir, dir, store, server } = self;
        store.database.close().await;
        drop(store);
        match open(&dir, server.as_ref(), master, LocalLimits::default()).await {
            Ok(store) => Ok(Self { _dir, dir, store, server }),
            Err(error) => Err((error, _dir, dir, server)),
        }
    }

    /// Everything that the database has on the disk.
    fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        if let Some(server) = &self.server {
            return server.files();
        }
        let named = |name: String| name.starts_with("cambio.db").then(|| self.dir.join(&name));
        let paths = self.dir.names().unwrap().into_iter().filter_map(named);
        paths.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
    }

    /// As somebody who may write the file.
    async fn tamper(&self, sql: &'static str) {
        assert!(self.store.database.tamper(sql).await > 0, "{sql} changed nothing");
    }
}

fn data(json: &str) -> SecretData {
    SecretData::new(Zeroizing::new(json.as_bytes().to_vec())).unwrap()
}

fn words(pairs: &[(&str, &str)]) -> std::collections::BTreeMap<String, String> {
    pairs.iter().map(|(name, word)| ((*name).to_owned(), (*word).to_owned())).collect()
}

/// Short ways to ask. A trait, as this file is two modules.
trait Ask {
    async fn at(&self, path: &str, method: KvMethod, now: Timestamp) -> Result<KvAnswer, KvError>;
    async fn put(&self, path: &str, json: &str, cas: Option<u64>) -> Result<u64, KvError>;
    async fn value_at(&self, path: &str, version: Option<u64>, now: Timestamp) -> Result<Option<String>, KvError>;
    async fn value(&self, path: &str) -> Result<Option<String>, KvError>;
    async fn metadata(&self, path: &str) -> SecretMetadata;
    async fn names(&self, folder: &str) -> Result<Vec<String>, KvError>;
}

impl Ask for LocalStore {
    async fn at(&self, path: &str, method: KvMethod, now: Timestamp) -> Result<KvAnswer, KvError> {
        let request = KvRequest::Secret(SecretPath::new(path).unwrap(), method);
        self.run(None, "kv", KvVersion::V2, &request, now).await
    }

    async fn put(&self, path: &str, json: &str, cas: Option<u64>) -> Result<u64, KvError> {
        match self.at(path, KvMethod::Write { data: data(json), cas }, NOW).await? {
            KvAnswer::Written { metadata, .. } => Ok(metadata.version),
            other => panic!("{other:?}"),
        }
    }

    /// The value, or that there is a version without one.
    async fn value_at(&self, path: &str, version: Option<u64>, now: Timestamp) -> Result<Option<String>, KvError> {
        match self.at(path, KvMethod::Read { version }, now).await? {
            KvAnswer::Version { data, .. } => Ok(data.map(|data| String::from_utf8(data.as_json().to_vec()).unwrap())),
            other => panic!("{other:?}"),
        }
    }

    async fn value(&self, path: &str) -> Result<Option<String>, KvError> {
        self.value_at(path, None, NOW).await
    }

    async fn metadata(&self, path: &str) -> SecretMetadata {
        match self.at(path, KvMethod::ReadMetadata, NOW).await.unwrap() {
            KvAnswer::Metadata(metadata) => *metadata,
            other => panic!("{other:?}"),
        }
    }

    async fn names(&self, folder: &str) -> Result<Vec<String>, KvError> {
        let request = KvRequest::List(crate::secrets::FolderPath::new(folder).unwrap());
        match self.run(None, "kv", KvVersion::V2, &request, NOW).await? {
            KvAnswer::Keys(names) => Ok(names),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_value_comes_back_as_the_bytes_that_were_written() {
    let home = home().await;
    let json = r#"{ "n": 1.0,  "password":"hunter2" }"#;
    assert_eq!(home.store.put("app/db", json, None).await, Ok(1));
    assert_eq!(home.store.value("app/db").await, Ok(Some(json.to_owned())));
    assert_eq!(home.store.value("app/other").await, Err(KvError::NotFound));
    assert_eq!(home.store.value_at("app/db", Some(2), NOW).await, Err(KvError::NotFound));
    assert_eq!(home.store.value_at("app/db", Some(u64::MAX), NOW).await, Err(KvError::NotFound));
    assert_eq!(home.store.value_at("app/db", Some(0), NOW).await, Ok(Some(json.to_owned())), "0: the current one");
}

#[tokio::test]
async fn versions_are_kept_up_to_the_bound_and_counted_as_openbao_does() {
    let home = home().await;
    for version in 1..=9 {
        home.store.put("a", &format!(r#"{{"v":{version}}}"#), None).await.unwrap();
    }
    let nine = home.store.metadata("a").await;
    assert_eq!((nine.current_version, nine.oldest_version, nine.versions.len()), (9, 0, 9));
    for version in 10..=12 {
        home.store.put("a", &format!(r#"{{"v":{version}}}"#), None).await.unwrap();
    }
    let twelve = home.store.metadata("a").await;
    assert_eq!((twelve.current_version, twelve.oldest_version, twelve.max_versions), (12, 3, 0));
    assert_eq!(twelve.versions.iter().map(|row| row.version).collect::<Vec<_>>(), (3..=12).collect::<Vec<_>>());
    assert_eq!(home.store.value_at("a", Some(2), NOW).await, Err(KvError::NotFound));
    assert_eq!(home.store.value_at("a", Some(3), NOW).await, Ok(Some(r#"{"v":3}"#.to_owned())));

    // Fewer, from the next write on.
    let fewer = MetadataUpdate { max_versions: Some(2), ..MetadataUpdate::default() };
    home.store.at("a", KvMethod::WriteMetadata(fewer), NOW).await.unwrap();
    assert_eq!(home.store.metadata("a").await.versions.len(), 10);
    home.store.put("a", "{}", None).await.unwrap();
    let fewer = home.store.metadata("a").await;
    assert_eq!((fewer.oldest_version, fewer.versions.len(), fewer.max_versions), (12, 2, 2));
}

#[rstest]
#[case::new_and_absent(None, Some(0), Ok(1))]
#[case::absent_but_a_version_was_named(None, Some(1), Err(KvError::CasMismatch))]
#[case::present_and_meant_new(Some(1), Some(0), Err(KvError::CasMismatch))]
#[case::the_current_one(Some(2), Some(2), Ok(3))]
#[case::an_older_one(Some(2), Some(1), Err(KvError::CasMismatch))]
#[case::one_ahead(Some(2), Some(3), Err(KvError::CasMismatch))]
#[case::unsaid(Some(2), None, Ok(3))]
#[tokio::test]
async fn check_and_set(#[case] written: Option<u64>, #[case] cas: Option<u64>, #[case] result: Result<u64, KvError>) {
    let home = home().await;
    for _ in 0..written.unwrap_or(0) {
        home.store.put("a", "{}", None).await.unwrap();
    }
    assert_eq!(home.store.put("a", r#"{"a":1}"#, cas).await, result);
    let current = home.store.value("a").await;
    assert_eq!(current.is_ok_and(|value| value.as_deref() == Some(r#"{"a":1}"#)), result.is_ok());
}

#[tokio::test]
async fn a_secret_can_demand_check_and_set() {
    let home = home().await;
    let demand = MetadataUpdate { cas_required: Some(true), ..MetadataUpdate::default() };
    home.store.at("a", KvMethod::WriteMetadata(demand), NOW).await.unwrap();
    assert_eq!(home.store.put("a", "{}", None).await, Err(KvError::CasRequired));
    assert_eq!(home.store.put("a", "{}", Some(0)).await, Ok(1), "metadata alone is no version");
    let patch = |cas| KvMethod::Patch { data: data("{}"), cas };
    assert_eq!(home.store.at("a", patch(None), NOW).await.unwrap_err(), KvError::CasRequired);
    assert_eq!(home.store.at("a", patch(Some(2)), NOW).await.unwrap_err(), KvError::CasMismatch);
    assert!(home.store.at("a", patch(Some(1)), NOW).await.is_ok());
}

#[tokio::test]
async fn a_deleted_version_keeps_its_metadata_and_comes_back() {
    let home = home().await;
    home.store.put("a", r#"{"v":1}"#, None).await.unwrap();
    home.store.put("a", r#"{"v":2}"#, None).await.unwrap();
    let later = NOW.plus(Duration::from_secs(5));
    home.store.at("a", KvMethod::DeleteCurrent, NOW).await.unwrap();
    home.store.at("a", KvMethod::Delete(vec![2, 7]), later).await.unwrap();
    assert_eq!(home.store.value("a").await, Ok(None));
    assert_eq!(home.store.value_at("a", Some(1), NOW).await, Ok(Some(r#"{"v":1}"#.to_owned())));
    let gone = &home.store.metadata("a").await.versions[1];
    assert_eq!((gone.deletion, gone.destroyed), (Some(NOW), false), "the time of the first deletion stays");
    assert_eq!(home.store.put("a", "{}", Some(0)).await, Err(KvError::CasMismatch), "deleted is not absent");
    home.store.at("a", KvMethod::Undelete(vec![2]), NOW).await.unwrap();
    assert_eq!(home.store.value("a").await, Ok(Some(r#"{"v":2}"#.to_owned())));
}

#[tokio::test]
async fn a_destroyed_version_never_comes_back() {
    let home = home().await;
    home.store.put("a", r#"{"v":1}"#, None).await.unwrap();
    home.store.put("a", r#"{"v":2}"#, None).await.unwrap();
    home.store.at("a", KvMethod::Destroy(vec![1]), NOW).await.unwrap();
    home.store.at("a", KvMethod::Undelete(vec![1]), NOW).await.unwrap();
    assert_eq!(home.store.value_at("a", Some(1), NOW).await, Ok(None));
    assert!(home.store.metadata("a").await.versions[0].destroyed);
    assert_eq!(home.store.value("a").await, Ok(Some(r#"{"v":2}"#.to_owned())));
    let row =
        home.store.database.value(Place { namespace: "", mount: "kv", path: "a" }, Some(1)).await.unwrap().unwrap();
    assert_eq!(row.value, None, "the sealed bytes are gone");
}

#[rstest]
#[case(KvMethod::DeleteCurrent)]
#[case(KvMethod::Delete(vec![1]))]
#[case(KvMethod::Undelete(vec![1]))]
#[case(KvMethod::Destroy(vec![1]))]
#[case(KvMethod::DeleteAll)]
#[tokio::test]
async fn to_remove_what_is_not_there_is_no_error_and_makes_nothing(#[case] method: KvMethod) {
    let home = home().await;
    assert!(matches!(home.store.at("a", method, NOW).await, Ok(KvAnswer::Done)));
    assert_eq!(home.store.names("").await, Err(KvError::NotFound));
}

#[rstest]
#[case(KvMethod::Delete(Vec::new()))]
#[case(KvMethod::Undelete(Vec::new()))]
#[case(KvMethod::Destroy(Vec::new()))]
#[tokio::test]
async fn no_versions_is_a_mistake(#[case] method: KvMethod) {
    assert!(matches!(home().await.store.at("a", method, NOW).await, Err(KvError::Invalid(_))));
}

#[tokio::test]
async fn a_version_deletes_itself_when_its_time_is_over() {
    let home = home().await;
    let hour = Duration::from_secs(3600);
    let update = MetadataUpdate { delete_version_after: Some(hour), ..MetadataUpdate::default() };
    home.store.at("a", KvMethod::WriteMetadata(update), NOW).await.unwrap();
    home.store.put("a", "{}", None).await.unwrap();
    assert_eq!(home.store.metadata("a").await.versions[0].deletion, Some(NOW.plus(hour)));
    assert_eq!(
        home.store.value_at("a", None, NOW.plus(hour - Duration::from_millis(1))).await,
        Ok(Some("{}".to_owned()))
    );
    assert_eq!(home.store.value_at("a", None, NOW.plus(hour)).await, Ok(None));
}

#[tokio::test]
async fn deleting_the_metadata_removes_everything() {
    let home = home().await;
    home.store.put("a", r#"{"v":1}"#, None).await.unwrap();
    home.store.put("a", r#"{"v":2}"#, None).await.unwrap();
    home.store.at("a", KvMethod::DeleteAll, NOW).await.unwrap();
    assert_eq!(home.store.value_at("a", Some(1), NOW).await, Err(KvError::NotFound));
    assert_eq!(home.store.put("a", "{}", Some(0)).await, Ok(1), "it begins anew");
    assert_eq!(home.store.database.namespace("").await.unwrap().unwrap().secrets, 1);
    home.store.database.check().await.unwrap();
}

#[tokio::test]
async fn a_patch_changes_the_current_version() {
    let home = home().await;
    let patch = |json: &str| KvMethod::Patch { data: data(json), cas: None };
    assert_eq!(home.store.at("a", patch("{}"), NOW).await.unwrap_err(), KvError::NotFound);
    home.store.put("a", r#"{"user":"u","password":"old"}"#, None).await.unwrap();
    home.store.at("a", patch(r#"{"password":"new","user":null}"#), NOW).await.unwrap();
    assert_eq!(home.store.value("a").await, Ok(Some(r#"{"password":"new"}"#.to_owned())));
    assert_eq!(home.store.metadata("a").await.current_version, 2);
    home.store.at("a", KvMethod::DeleteCurrent, NOW).await.unwrap();
    assert_eq!(home.store.at("a", patch("{}"), NOW).await.unwrap_err(), KvError::NotFound);
    let big = format!(r#"{{"a":"{}"}}"#, "x".repeat(600_000));
    home.store.put("b", &big, None).await.unwrap();
    let bigger = patch(&big.replace("\"a\"", "\"b\""));
    assert!(matches!(home.store.at("b", bigger, NOW).await, Err(KvError::Invalid(_))));
    assert_eq!(home.store.metadata("b").await.current_version, 1);
}

#[tokio::test]
async fn metadata_is_set_patched_and_read() {
    let home = home().await;
    let set =
        MetadataUpdate { custom_metadata: Some(words(&[("owner", "a"), ("team", "b")])), ..MetadataUpdate::default() };
    home.store.at("a", KvMethod::WriteMetadata(set), NOW).await.unwrap();
    let fresh = home.store.metadata("a").await;
    assert_eq!((fresh.current_version, fresh.oldest_version, fresh.versions.len()), (0, 0, 0));
    assert_eq!(home.store.value("a").await, Err(KvError::NotFound), "metadata alone is no version");
    home.store.put("a", "{}", None).await.unwrap();

    let changes = [("owner", None), ("team", Some("c")), ("new", Some("d"))];
    let custom_metadata = changes.map(|(name, word)| (name.to_owned(), word.map(str::to_owned))).into();
    let patch = MetadataPatch { max_versions: Some(3), custom_metadata, ..MetadataPatch::default() };
    home.store.at("a", KvMethod::PatchMetadata(patch.clone()), NOW).await.unwrap();
    let expected = Some(words(&[("new", "d"), ("team", "c")]));
    let patched = home.store.metadata("a").await;
    assert_eq!((patched.custom_metadata, patched.max_versions), (expected.clone(), 3));
    assert_eq!(home.store.at("b", KvMethod::PatchMetadata(patch), NOW).await.unwrap_err(), KvError::NotFound);
    let KvAnswer::Version { custom_metadata, .. } =
        home.store.at("a", KvMethod::Read { version: None }, NOW).await.unwrap()
    else {
        panic!("no version");
    };
    assert_eq!(custom_metadata, expected);

    // What is not said stays; an empty map takes all away.
    home.store.at("a", KvMethod::WriteMetadata(MetadataUpdate::default()), NOW).await.unwrap();
    assert_eq!(home.store.metadata("a").await.custom_metadata, expected);
    let none = MetadataUpdate { custom_metadata: Some(words(&[])), ..MetadataUpdate::default() };
    home.store.at("a", KvMethod::WriteMetadata(none), NOW).await.unwrap();
    assert_eq!(home.store.metadata("a").await.custom_metadata, None);
}

#[rstest]
#[case::most_keys((0..64).map(|n| (format!("k{n}"), "v".to_owned())).collect(), true)]
#[case::too_many((0..65).map(|n| (format!("k{n}"), "v".to_owned())).collect(), false)]
#[case::longest_name(vec![("k".repeat(128), "v".to_owned())], true)]
#[case::name_too_long(vec![("k".repeat(129), "v".to_owned())], false)]
#[case::no_name(vec![(String::new(), "v".to_owned())], false)]
#[case::longest_word(vec![("k".to_owned(), "v".repeat(512))], true)]
#[case::word_too_long(vec![("k".to_owned(), "v".repeat(513))], false)]
#[case::no_word(vec![("k".to_owned(), String::new())], false)]
#[case::unprintable(vec![("k".to_owned(), "a\u{7}".to_owned())], false)]
#[tokio::test]
async fn custom_metadata_has_bounds(#[case] pairs: Vec<(String, String)>, #[case] good: bool) {
    let home = home().await;
    let update = MetadataUpdate { custom_metadata: Some(pairs.iter().cloned().collect()), ..MetadataUpdate::default() };
    assert_eq!(home.store.at("a", KvMethod::WriteMetadata(update), NOW).await.is_ok(), good);
    home.store.put("b", "{}", None).await.unwrap();
    let custom_metadata = pairs.into_iter().map(|(name, word)| (name, Some(word))).collect();
    let patch = MetadataPatch { custom_metadata, ..MetadataPatch::default() };
    assert_eq!(home.store.at("b", KvMethod::PatchMetadata(patch), NOW).await.is_ok(), good);
}

#[tokio::test]
async fn a_list_has_names_and_folders_of_its_own_level() {
    let home = home().await;
    for path in ["a", "a/b", "a/c/d", "a-b", "b/c", "bc", "grün/x"] {
        home.store.put(path, "{}", None).await.unwrap();
    }
    let listed = |folder: &'static str| {
        let store = Arc::clone(&home.store);
        async move { store.names(folder).await }
    };
    assert_eq!(listed("").await.unwrap(), ["a", "a-b", "a/", "b/", "bc", "grün/"]);
    assert_eq!(listed("a").await.unwrap(), ["b", "c/"]);
    assert_eq!(listed("a/c/").await.unwrap(), ["d"]);
    assert_eq!(listed("bc").await, Err(KvError::NotFound), "a secret is no folder");
    assert_eq!(listed("x").await, Err(KvError::NotFound));
    let elsewhere = KvRequest::List(crate::secrets::FolderPath::new("").unwrap());
    let namespace = Namespace::new("n").unwrap();
    for (namespace, mount) in [(None, "kv2"), (Some(&namespace), "kv")] {
        let answer = home.store.run(namespace, mount, KvVersion::V2, &elsewhere, NOW).await;
        assert_eq!(answer.unwrap_err(), KvError::NotFound);
    }
}

#[tokio::test]
async fn a_list_of_many_is_whole() {
    let home = home().await;
    let mut write = home.store.writing(Place { namespace: "", mount: "kv", path: "x" }, NOW).await.unwrap();
    let row = crate::state::database::SecretRow::new(NOW);
    for number in 0..2500 {
        for path in [format!("f{number:04}"), format!("folder/{number:04}"), format!("g{number:04}/x")] {
            let place = Place { namespace: "", mount: "kv", path: &path };
            write.transaction.insert_secret(place, &row).await.unwrap();
        }
    }
    write.commit().await.unwrap();
    let root = home.store.names("").await.unwrap();
    assert_eq!(root.len(), 5001);
    assert!(root.is_sorted() && root.contains(&"folder/".to_owned()));
    assert_eq!(root.iter().collect::<BTreeSet<_>>().len(), 5001);
    assert_eq!(home.store.names("folder").await.unwrap().len(), 2500);
}

#[tokio::test]
async fn a_namespace_has_a_bound_of_its_own() {
    let home = home_with(LocalLimits { max_secrets: 2, ..LocalLimits::default() }).await;
    home.store.put("a", "{}", None).await.unwrap();
    home.store.put("b", "{}", None).await.unwrap();
    assert!(matches!(home.store.put("c", "{}", None).await, Err(KvError::Invalid(_))));
    let metadata = KvMethod::WriteMetadata(MetadataUpdate::default());
    assert!(matches!(home.store.at("c", metadata, NOW).await, Err(KvError::Invalid(_))));
    assert_eq!(home.store.put("a", "{}", None).await, Ok(2), "what is there can be written");
    let write = KvRequest::Secret(SecretPath::new("c").unwrap(), KvMethod::Write { data: data("{}"), cas: None });
    let namespace = Namespace::new("n").unwrap();
    assert!(home.store.run(Some(&namespace), "kv", KvVersion::V2, &write, NOW).await.is_ok());
    home.store.at("b", KvMethod::DeleteAll, NOW).await.unwrap();
    assert_eq!(home.store.put("c", "{}", None).await, Ok(1));
}

#[tokio::test]
async fn version_1_keeps_one_value_and_nothing_else() {
    let home = home().await;
    let at = |method| {
        let request = KvRequest::Secret(SecretPath::new("a").unwrap(), method);
        let store = Arc::clone(&home.store);
        async move { store.run(None, "v1", KvVersion::V1, &request, NOW).await }
    };
    for value in ["{\"v\":1}", "{\"v\":2}"] {
        at(KvMethod::Write { data: data(value), cas: None }).await.unwrap();
    }
    let KvAnswer::Version { data: Some(value), .. } = at(KvMethod::Read { version: None }).await.unwrap() else {
        panic!("no value");
    };
    assert_eq!(value.as_json(), b"{\"v\":2}");
    let (_, versions) =
        home.store.database.secret(Place { namespace: "", mount: "v1", path: "a" }).await.unwrap().unwrap();
    assert_eq!(versions.len(), 1);
    let no_such = [
        KvMethod::Read { version: Some(1) },
        KvMethod::ReadMetadata,
        KvMethod::Write { data: data("{}"), cas: Some(1) },
        KvMethod::Patch { data: data("{}"), cas: None },
        KvMethod::Delete(vec![1]),
        KvMethod::Undelete(vec![1]),
        KvMethod::Destroy(vec![1]),
        KvMethod::WriteMetadata(MetadataUpdate::default()),
        KvMethod::PatchMetadata(MetadataPatch::default()),
    ];
    for method in no_such {
        assert_eq!(at(method).await.unwrap_err(), KvError::Unsupported);
    }
    at(KvMethod::DeleteCurrent).await.unwrap();
    assert_eq!(at(KvMethod::Read { version: None }).await.unwrap_err(), KvError::NotFound);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_want_to_be_first_one_is() {
    let home = home().await;
    let writers: Vec<_> = (0..50)
        .map(|writer| {
            let store = Arc::clone(&home.store);
            tokio::spawn(async move { (writer, store.put("a", &format!(r#"{{"w":{writer}}}"#), Some(0)).await) })
        })
        .collect();
    let mut won = Vec::new();
    for writer in writers {
        match writer.await.unwrap() {
            (writer, Ok(version)) => won.push((writer, version)),
            (_, error) => assert_eq!(error, Err(KvError::CasMismatch)),
        }
    }
    assert_eq!(won.len(), 1, "{won:?}");
    assert_eq!(home.store.value("a").await, Ok(Some(format!(r#"{{"w":{}}}"#, won[0].0))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_leave_no_gap() {
    let home = home_with(LocalLimits { max_versions: 1000, ..LocalLimits::default() }).await;
    let writers: Vec<_> = (0..200)
        .map(|writer| {
            let store = Arc::clone(&home.store);
            tokio::spawn(async move { (writer, store.put("a", &format!(r#"{{"w":{writer}}}"#), None).await.unwrap()) })
        })
        .collect();
    let mut versions = BTreeSet::new();
    for writer in writers {
        let (writer, version) = writer.await.unwrap();
        versions.insert(version);
        assert_eq!(home.store.value_at("a", Some(version), NOW).await, Ok(Some(format!(r#"{{"w":{writer}}}"#))));
    }
    assert_eq!(versions, (1..=200).collect());
}

#[tokio::test]
async fn a_wrong_master_key_is_said_and_changes_nothing() {
    let home = home().await;
    home.store.put("a", "{}", None).await.unwrap();
    home.store.database.close().await;
    let before = home.files();
    let Err((error, _home, dir, server)) = home.reopen(only(0xbb)).await else { panic!("opened") };
    let text = error.to_string();
    assert!(text.contains(&master(0xaa).id().to_string()) && text.contains(&master(0xbb).id().to_string()), "{text}");
    // A server writes its files when it likes.
    for (path, content) in before.into_iter().filter(|_| server.is_none()) {
        assert!(fs::read(&path).map_or(path.to_string_lossy().contains('-'), |now| now == content), "{path:?}");
    }
    assert!(open(&dir, server.as_ref(), only(0xaa), LocalLimits::default()).await.unwrap().value("a").await.is_ok());
}

#[tokio::test]
async fn a_lost_master_key_is_not_replaced_by_a_new_one() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = PrivateDir::open(&temporary.path().join("data")).unwrap();
    let database = Database::open(&dir, NOW).await.unwrap();
    let keys = MasterKeys::new(MasterKey::embedded(&dir, &database).await.unwrap(), Vec::new()).unwrap();
    let store = LocalStore::open(database.clone(), keys, LocalLimits::default()).await.unwrap();
    store.put("a", "{}", None).await.unwrap();
    fs::remove_file(dir.join("master.key")).unwrap();
    let error = MasterKey::embedded(&dir, &database).await.unwrap_err();
    assert!(error.to_string().contains("restore it"), "{error}");
    assert!(!dir.join("master.key").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn master_keys_change_under_readers_and_writers() {
    let home = home().await;
    for number in 0..250 {
        let namespace = Namespace::new(&format!("n{number}")).unwrap();
        let write = KvRequest::Secret(SecretPath::new("a").unwrap(), KvMethod::Write { data: data("{}"), cas: None });
        home.store.run(Some(&namespace), "kv", KvVersion::V2, &write, NOW).await.unwrap();
    }
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let busy: Vec<_> = (0..4)
        .map(|worker| {
            let (store, stop) = (Arc::clone(&home.store), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut rounds = 0_u64;
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    rounds += 1;
                    let namespace = Namespace::new(&format!("w{worker}-{rounds}")).unwrap();
                    let at = |method| KvRequest::Secret(SecretPath::new("a").unwrap(), method);
                    let write = at(KvMethod::Write { data: data("{}"), cas: None });
                    store.run(Some(&namespace), "kv", KvVersion::V2, &write, NOW).await.unwrap();
                    let old = Namespace::new(&format!("n{}", rounds % 250)).unwrap();
                    for namespace in [&namespace, &old] {
                        let read = at(KvMethod::Read { version: None });
                        store.run(Some(namespace), "kv", KvVersion::V2, &read, NOW).await.unwrap();
                    }
                }
                rounds
            })
        })
        .collect();
    let keys = MasterKeys::new(master(0xbb), vec![master(0xaa)]).unwrap();
    let changed = home.store.change_master_keys(keys).await.unwrap();
    assert!(changed >= 250, "{changed}");
    tokio::time::sleep(Duration::from_millis(50)).await;
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    for worker in busy {
        assert!(worker.await.unwrap() > 0);
    }
    assert_eq!(home.store.rewrap().await.unwrap(), 0, "nothing is left, and to repeat it changes nothing");
    let home = home.reopen(only(0xbb)).await.unwrap_or_else(|(error, ..)| panic!("{error}"));
    let read = KvRequest::Secret(SecretPath::new("a").unwrap(), KvMethod::Read { version: None });
    for number in 0..250 {
        let namespace = Namespace::new(&format!("n{number}")).unwrap();
        assert!(home.store.run(Some(&namespace), "kv", KvVersion::V2, &read, NOW).await.is_ok());
    }
    assert!(matches!(home.store.change_master_keys(only(0xcc)).await, Err(LocalError::UnknownMasterKey { .. })));
}

#[tokio::test]
async fn a_rewrap_that_was_cut_off_is_finished_by_the_next() {
    let home = home().await;
    for number in 0..20 {
        let namespace = Namespace::new(&format!("n{number}")).unwrap();
        home.store.rotate_data_key(Some(&namespace), NOW).await.unwrap();
    }
    let keys = || MasterKeys::new(master(0xbb), vec![master(0xaa)]).unwrap();
    let home = home.reopen(keys()).await.unwrap_or_else(|(error, ..)| panic!("{error}"));
    // Cut off after some rows, by giving up on it at some moment.
    let cut = tokio::time::timeout(Duration::from_millis(8), home.store.rewrap()).await;
    let home = home.reopen(keys()).await.unwrap_or_else(|(error, ..)| panic!("{error}"));
    let rest = home.store.rewrap().await.unwrap();
    assert!(cut.is_ok() || rest > 0);
    assert_eq!(home.store.database.masters().await.unwrap(), [(master(0xbb).id().bytes().to_vec(), 20)]);
}

#[tokio::test]
async fn a_new_data_key_seals_what_is_written_next() {
    let home = home().await;
    home.store.put("a", r#"{"v":1}"#, None).await.unwrap();
    assert_eq!(home.store.rotate_data_key(None, NOW).await.unwrap(), 2);
    home.store.put("a", r#"{"v":2}"#, None).await.unwrap();
    let place = Place { namespace: "", mount: "kv", path: "a" };
    for (version, generation) in [(1, 1), (2, 2)] {
        let row = home.store.database.value(place, Some(version)).await.unwrap().unwrap();
        assert_eq!(row.value.unwrap().key, generation);
        let read = home.store.value_at("a", Some(version), NOW).await;
        assert_eq!(read, Ok(Some(format!(r#"{{"v":{version}}}"#))));
    }
}

#[tokio::test]
async fn a_data_key_that_has_sealed_enough_is_followed_by_another() {
    let home = home().await;
    home.store.put("a", "{}", None).await.unwrap();
    assert_eq!(home.store.database.namespace("").await.unwrap().unwrap().sealed, 1);
    let mut write = home.store.database.write(crate::state::database::Scope::Secrets("")).await.unwrap();
    write.count_sealed("", 1, data_keys::MAX_COUNTED - 1).await.unwrap();
    write.commit().await.unwrap();
    home.store.put("a", "{}", None).await.unwrap();
    let row = home.store.database.namespace("").await.unwrap().unwrap();
    assert_eq!((row.current_key, row.sealed), (2, 1));
    assert_eq!(home.store.value_at("a", Some(1), NOW).await, Ok(Some("{}".to_owned())));
}

#[rstest]
#[case::values_of_two_secrets(
    "UPDATE secret_versions SET value = (SELECT value FROM secret_versions WHERE secret = 2) WHERE secret = 1"
)]
#[case::a_version_renumbered(
    "UPDATE secret_versions SET version = 2 WHERE secret = 1; UPDATE secrets SET current_version = 2"
)]
#[case::a_time("UPDATE secret_versions SET created_ms = created_ms + 1 WHERE secret = 1")]
#[case::a_path(
    "UPDATE secrets SET path = 'c' WHERE id = 2; UPDATE secrets SET path = 'a2' WHERE id = 1; UPDATE secrets SET path = 'a' WHERE id = 2"
)]
#[case::another_namespaces_secret(
    "UPDATE secrets SET path = 'x' WHERE id = 1; UPDATE secrets SET namespace = '' WHERE namespace = 'n'"
)]
#[case::another_mounts_secret(
    "UPDATE secrets SET path = 'x' WHERE id = 1; UPDATE secrets SET mount = 'kv' WHERE mount = 'other'"
)]
#[case::a_bit(
    "UPDATE secret_versions SET value = CAST(substr(value, 1, 20) || x'00' || substr(value, 22) AS BLOB) WHERE secret = 1"
)]
#[case::cut("UPDATE secret_versions SET value = substr(value, 1, 11) WHERE secret = 1")]
#[case::half_a_value("UPDATE secret_versions SET value_key = NULL WHERE secret = 1")]
#[case::another_data_key("UPDATE secret_versions SET value_key = 7 WHERE secret = 1")]
#[case::a_data_key(
    "UPDATE data_keys SET wrapped = (SELECT wrapped FROM data_keys WHERE namespace = 'n') WHERE namespace = ''"
)]
#[case::words("UPDATE secrets SET custom = (SELECT custom FROM secrets WHERE id = 2) WHERE id = 1")]
#[tokio::test]
async fn rows_that_somebody_moved_or_changed_are_refused(#[case] sql: &'static str) {
    let home = home().await;
    let namespace = Namespace::new("n").unwrap();
    let write = |path: &str| {
        KvRequest::Secret(SecretPath::new(path).unwrap(), KvMethod::Write { data: data(r#"{"v":"1"}"#), cas: None })
    };
    for path in ["a", "b"] {
        home.store.put(path, r#"{"v":"1"}"#, None).await.unwrap();
        let set = MetadataUpdate { custom_metadata: Some(words(&[("at", path)])), ..MetadataUpdate::default() };
        home.store.at(path, KvMethod::WriteMetadata(set), NOW).await.unwrap();
    }
    home.store.run(Some(&namespace), "kv", KvVersion::V2, &write("a"), NOW).await.unwrap();
    home.store.run(None, "other", KvVersion::V2, &write("a"), NOW).await.unwrap();
    let sql = match home.server {
        Some(_) if sql.contains("x'00'") => {
            "UPDATE secret_versions SET value = set_byte(value, 20, 255 - get_byte(value, 20)) WHERE secret = 1"
        }
        _ => sql,
    };
    home.tamper(sql).await;
    let home = home.reopen(only(0xaa)).await.unwrap_or_else(|(error, ..)| panic!("{error}"));
    let read = home.store.value("a").await;
    assert!(matches!(read, Err(KvError::Damaged(_))), "{read:?}");
}

#[tokio::test]
async fn no_value_and_no_word_stands_in_the_files() {
    let home = home().await;
    let json = format!(r#"{{"planted-name-77c0":"{PLANTED}"}}"#);
    for path in ["a", "b", "c"] {
        home.store.put(path, &json, None).await.unwrap();
    }
    let set = MetadataUpdate { custom_metadata: Some(words(&[(PLANTED, PLANTED)])), ..MetadataUpdate::default() };
    home.store.at("a", KvMethod::WriteMetadata(set), NOW).await.unwrap();
    home.store.at("b", KvMethod::Destroy(vec![1]), NOW).await.unwrap();
    home.store.at("a", KvMethod::Patch { data: data(&json.replace("77c0", "77c1")), cas: None }, NOW).await.unwrap();
    let holds = |files: &[(PathBuf, Vec<u8>)], text: &[u8]| {
        files.iter().any(|(_, content)| content.windows(text.len()).any(|window| window == text))
    };
    let files = home.files();
    let log =
        |path: &PathBuf| path.ends_with("cambio.db-wal") || path.parent().is_some_and(|dir| dir.ends_with("pg_wal"));
    assert!(files.iter().any(|(path, content)| log(path) && content.len() > 4096));
    assert!(!holds(&files, PLANTED.as_bytes()) && !holds(&files, b"planted-name-77"));
    let known: &[u8] = if home.server.is_some() { b"secret_versions" } else { b"CREATE TABLE secrets" };
    assert!(holds(&files, known), "the search can find something");
    home.store.database.close().await;
    assert!(!holds(&home.files(), PLANTED.as_bytes()));
    assert!(!format!("{:?}", home.store).contains(PLANTED));
}

#[tokio::test]
async fn a_probe_answers_nothing_and_makes_nothing() {
    let home = home().await;
    home.store.put("a/b", "{}", None).await.unwrap();
    for method in [KvMethod::Read { version: None }, KvMethod::ReadMetadata, KvMethod::DeleteAll] {
        let request = KvRequest::Secret(SecretPath::new("a/b").unwrap(), method);
        home.store.probe(None, "kv", &request).await;
    }
    home.store.probe(None, "kv", &KvRequest::List(crate::secrets::FolderPath::new("").unwrap())).await;
    assert_eq!(home.store.value("a/b").await, Ok(Some("{}".to_owned())));
}
