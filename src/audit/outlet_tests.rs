//! Sinks besides the file, against receivers that are really there: what they get, and what happens when they do not take it.

use std::io::{BufRead as _, BufReader, Cursor, Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rstest::rstest;
use zeroize::Zeroizing;

use crate::audit::{
    AuditUnavailable, BearerSource, Facility, Journal, JournalSettings, OnFailure, Outcome, OutletKind, OutletSettings,
    Report, SyslogAddress, SyslogSettings, Verifier, WebhookSettings,
};
use crate::jose::sha256;
use serde_json::Value;

use super::tests::{Home, LATENCY, PATIENCE, begin, denied, home};

fn journal(home: &Home, to: OutletKind, on_failure: OnFailure) -> Arc<Journal> {
    let outlets = vec![OutletSettings { name: "out".to_owned(), on_failure, to }];
    Journal::open(JournalSettings { outlets, ..JournalSettings::file(home.path.clone()) }).unwrap()
}

fn syslog(address: SyslogAddress, max_bytes: usize) -> OutletKind {
    OutletKind::Syslog(SyslogSettings { address, facility: Facility::Local3, max_bytes })
}

fn webhook(address: std::net::SocketAddr) -> OutletKind {
    OutletKind::Webhook(WebhookSettings {
        url: format!("http://{address}/in").parse().unwrap(),
        bearer: Some(BearerSource::Text(Zeroizing::new("planted-bearer".to_owned()))),
        ca_file: None,
        timeout: Duration::from_secs(2),
    })
}

fn verified(lines: &[String]) -> Report {
    let mut verifier = Verifier::new();
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    verifier.lines("collected", Cursor::new(text)).unwrap();
    verifier.finish()
}

/// The text of a message, once its head is as RFC 5424 asks.
fn text(message: &str) -> String {
    let parts: Vec<&str> = message.splitn(8, ' ').collect();
    let [version, time, host, app, process, kind, data, text] = parts.as_slice() else { panic!("{message}") };
    assert_eq!((*version, *app, *data), ("<158>1", "cambio", "-"), "local3 (19) and info (6)");
    assert!(time.ends_with('Z') && !host.is_empty() && process.parse::<u32>().is_ok());
    assert!(["decision", "segment", "head"].contains(kind), "{kind}");
    (*text).to_owned()
}

/// Octet counting (RFC 6587 section 3.4.1).
fn messages(stream: TcpStream) -> Vec<String> {
    let (mut reader, mut found) = (BufReader::new(stream), vec![]);
    loop {
        let mut length = Vec::new();
        if reader.read_until(b' ', &mut length).unwrap_or(0) == 0 {
            return found;
        }
        let length: usize = std::str::from_utf8(&length).unwrap().trim().parse().unwrap();
        let mut message = vec![0; length];
        reader.read_exact(&mut message).unwrap();
        found.push(String::from_utf8(message).unwrap());
    }
}

const TOKEN: &str = "eyJhbGciOiJFUzI1NiIsImtpZCI6IngifQ.eyJpc3MiOiJhIn0.c2lnbmF0dXJlLXBsYW50ZWQ";

fn close_with(journal: &Arc<Journal>, text: &str) {
    begin(journal).close(Outcome::Denied { reason: "r", detail: Some(text.to_owned()) }, LATENCY);
}

#[test]
fn a_syslog_collector_over_tcp_gets_the_chain_and_can_verify_it() {
    let (home, listener) = (home(), TcpListener::bind("127.0.0.1:0").unwrap());
    let address = listener.local_addr().unwrap().to_string();
    let collected = std::thread::spawn(move || messages(listener.accept().unwrap().0));
    let journal = journal(&home, syslog(SyslogAddress::Tcp(address), 8192), OnFailure::Deny);
    (0..50).for_each(|_| close_with(&journal, TOKEN));
    journal.shutdown();
    assert_eq!(journal.outlets()[0].counters.delivered, 50);
    drop(journal);
    let lines: Vec<String> = collected.join().unwrap().iter().map(|message| text(message)).collect();
    let report = verified(&lines);
    assert!(report.is_good(), "{report:?}");
    assert_eq!(report.chains[0].records, 50);
    assert_eq!(lines.join("\n") + "\n", std::fs::read_to_string(&home.path).unwrap(), "as in the file");
    assert!(lines.iter().all(|line| !line.contains("c2lnbmF0")), "a token went out");
}

#[test]
fn of_a_record_that_is_too_long_for_a_datagram_the_digest_is_sent() {
    let (home, socket) = (home(), UdpSocket::bind("127.0.0.1:0").unwrap());
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let address = socket.local_addr().unwrap().to_string();
    let journal = journal(&home, syslog(SyslogAddress::Udp(address), 480), OnFailure::Drop);
    close_with(&journal, &"x".repeat(1000));
    assert!(journal.flush(PATIENCE));
    let mut buffer = [0; 65_536];
    let mut last = String::new();
    for _ in 0..3 {
        let read = socket.recv(&mut buffer).unwrap();
        assert!(read <= 480, "{read}");
        last = String::from_utf8(buffer[..read].to_vec()).unwrap();
    }
    let cut: Value = serde_json::from_str(&text(&last)).unwrap();
    let line = home.lines().remove(0);
    let whole: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&cut["kind"], &cut["seq"], &cut["prev"]), (&Value::from("cut"), &whole["seq"], &whole["prev"]));
    assert_eq!(cut["sha256"], sha256(line.as_bytes()).to_string());
    assert_eq!(cut["bytes"], line.len());
}

#[test]
fn the_socket_of_the_machine_gets_one_datagram_for_each_line() {
    let (home, directory) = (home(), tempfile::tempdir().unwrap());
    let path = directory.path().join("log");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let journal = journal(&home, syslog(SyslogAddress::Unix(path), 8192), OnFailure::Drop);
    close_with(&journal, "x");
    let mut buffer = [0; 65_536];
    let lines: Vec<String> = (0..3)
        .map(|_| {
            let read = socket.recv(&mut buffer).unwrap();
            text(std::str::from_utf8(&buffer[..read]).unwrap())
        })
        .collect();
    assert_eq!(lines[2], home.lines()[0]);
}

/// Answers requests with these statuses in turn, then with 200; gives each request's head and body.
fn receiver(statuses: Vec<u16>) -> (std::net::SocketAddr, Receiver<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (send, requests) = channel();
    std::thread::spawn(move || {
        let mut statuses = statuses.into_iter();
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let (mut head, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap() <= 2 {
                    break;
                }
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                head += &line;
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let status = statuses.next().unwrap_or(200);
            let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            reader.get_mut().write_all(answer.as_bytes()).unwrap();
            if send.send((head, String::from_utf8(body).unwrap())).is_err() {
                return;
            }
        }
    });
    (address, requests)
}

#[test]
fn a_webhook_gets_batches_of_lines_again_until_it_takes_them() {
    let (home, (address, requests)) = (home(), receiver(vec![503, 401]));
    let journal = journal(&home, webhook(address), OnFailure::Deny);
    (0..20).for_each(|_| close_with(&journal, TOKEN));
    let (first, second, third) = (requests.recv().unwrap(), requests.recv().unwrap(), requests.recv().unwrap());
    assert!(first == second && second == third, "the same batch");
    let (head, body) = third;
    assert!(head.starts_with("POST /in HTTP/1.1") && head.contains("authorization: Bearer planted-bearer"), "{head}");
    assert!(head.to_ascii_lowercase().contains("content-type: application/x-ndjson"), "{head}");
    journal.shutdown();
    let status = &journal.outlets()[0];
    assert_eq!((status.counters.delivered, status.counters.dropped, status.counters.failures), (20, 0, 2));
    let bodies: String = std::iter::once(body).chain(requests.try_iter().map(|(_, body)| body)).collect();
    assert!(verified(&bodies.lines().map(str::to_owned).collect::<Vec<_>>()).is_good());
    assert!(!bodies.contains("c2lnbmF0") && !format!("{status:?} {journal:?}").contains("planted"));
}

#[test]
fn a_batch_that_a_webhook_will_never_take_is_dropped_where_that_is_allowed() {
    let (home, (address, requests)) = (home(), receiver(vec![422]));
    let journal = journal(&home, webhook(address), OnFailure::Drop);
    close_with(&journal, "x");
    requests.recv().unwrap();
    while journal.outlets()[0].counters.dropped == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    close_with(&journal, "y");
    requests.recv().unwrap();
    journal.shutdown();
    let counters = journal.outlets()[0].counters;
    assert_eq!((counters.delivered, counters.dropped, counters.waiting_bytes), (1, 1, 0));
    assert!(super::chain_tests::verified(&home.path).is_good(), "the file has all");
}

/// A receiver that is stalled until it is told to go on.
#[rstest]
#[case(OnFailure::Deny, Err(AuditUnavailable::Sink))]
#[case(OnFailure::Drop, Ok(()))]
fn a_stalled_collector_denies_or_drops_as_configured_and_recovers(
    #[case] on_failure: OnFailure,
    #[case] admitted: Result<(), AuditUnavailable>,
) {
    let home = home();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let journal = journal(&home, syslog(SyslogAddress::Tcp(address), 8192), on_failure);
    let full = |journal: &Arc<Journal>| match on_failure {
        OnFailure::Deny => begin(journal).worthwhile().is_err(),
        OnFailure::Drop => journal.outlets()[0].counters.dropped > 0,
    };
    // Until the receiver's and the sender's buffers in the system are full, and then the queue.
    let mut count = 0_u64;
    while !full(&journal) {
        close_with(&journal, &"x".repeat(1000));
        count += 1;
        if count.is_multiple_of(100) {
            assert!(journal.flush(PATIENCE));
        }
        assert!(count < 200_000);
    }
    assert_eq!(begin(&journal).admit(), admitted);
    assert!(journal.healthy(), "the file takes records");
    let status = &journal.outlets()[0];
    assert_eq!(status.blocking, on_failure == OnFailure::Deny);
    let got = Arc::new(Mutex::new(0_usize));
    let counted = Arc::clone(&got);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let counted = Arc::clone(&counted);
            std::thread::spawn(move || *counted.lock().unwrap() += messages(stream.unwrap()).len());
        }
    });
    while begin(&journal).admit().is_err() || journal.outlets()[0].counters.waiting_bytes > 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    journal.shutdown();
    let counters = journal.outlets()[0].counters;
    assert_eq!(counters.dropped > 0, on_failure == OnFailure::Drop, "{counters:?}");
    assert_eq!(counters.delivered + counters.dropped, journal.counters().written);
    assert!(super::chain_tests::verified(&home.path).is_good(), "the file has all");
}

#[test]
fn a_collector_that_is_not_there_holds_up_neither_the_file_nor_the_end() {
    let home = home();
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let journal = journal(&home, syslog(SyslogAddress::Tcp(gone), 8192), OnFailure::Drop);
    begin(&journal).close(denied(), LATENCY);
    while !journal.outlets()[0].failing {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(journal.flush(PATIENCE));
    assert_eq!(home.lines().len(), 1);
    journal.shutdown();
    let counters = journal.outlets()[0].counters;
    assert_eq!((counters.delivered, counters.dropped), (0, 1));
}

/// The records of what was minted must come to such a sink, whatever becomes of the process.
#[test]
fn what_a_sink_that_must_have_everything_had_not_got_at_the_stop_it_gets_after_the_start() {
    let home = home();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let to = || syslog(SyslogAddress::Tcp(address.to_string()), 8192);
    for _ in 0..2 {
        let journal = journal(&home, to(), OnFailure::Deny);
        (0..15).for_each(|_| close_with(&journal, "x"));
        journal.shutdown();
        let counters = journal.outlets()[0].counters;
        assert_eq!((counters.delivered, counters.dropped, counters.waiting_bytes), (0, 0, 0));
    }
    let listener = TcpListener::bind(address).unwrap();
    let collected =
        std::thread::spawn(move || [messages(listener.accept().unwrap().0), messages(listener.accept().unwrap().0)]);
    for records in [35, 5] {
        let journal = journal(&home, to(), OnFailure::Deny);
        (0..5).for_each(|_| close_with(&journal, "y"));
        journal.shutdown();
        assert_eq!(journal.outlets()[0].counters.delivered, records, "nothing twice, once it was taken");
    }
    let lines: Vec<String> = collected.join().unwrap().iter().flatten().map(|message| text(message)).collect();
    assert_eq!(lines.join("\n") + "\n", std::fs::read_to_string(&home.path).unwrap(), "as in the file");
    assert_eq!(verified(&lines).chains[0].records, 40);
}

#[test]
fn a_restart_lets_nothing_be_minted_that_was_not_before() {
    let home = home();
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let open = || journal(&home, syslog(SyslogAddress::Tcp(gone.clone()), 8192), OnFailure::Deny);
    let first = open();
    while begin(&first).worthwhile().is_ok() {
        close_with(&first, &"x".repeat(1000));
        assert!(first.flush(PATIENCE));
    }
    first.shutdown();
    let second = open();
    assert_eq!(begin(&second).worthwhile(), Err(AuditUnavailable::Sink));
    assert!(second.outlets()[0].blocking);
}

#[test]
fn a_sink_that_was_never_there_before_gets_what_comes_across_files() {
    let home = home();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let open = |outlets: Vec<OutletSettings>| {
        let sink = crate::audit::Sink::File { path: home.path.clone(), rotate_bytes: 3000, keep: 100, keep_for: None };
        Journal::open(JournalSettings { sink, outlets, ..JournalSettings::file(home.path.clone()) }).unwrap()
    };
    let outlet = || OutletSettings {
        name: "a/b".to_owned(),
        on_failure: OnFailure::Deny,
        to: syslog(SyslogAddress::Tcp(address.clone()), 8192),
    };
    let write = |journal: &Arc<Journal>, text: &str| {
        for _ in 0..20 {
            close_with(journal, text);
            assert!(journal.flush(PATIENCE));
        }
        journal.shutdown();
    };
    write(&open(vec![]), "before");
    write(&open(vec![outlet()]), "missed");
    let listener = TcpListener::bind(&address).unwrap();
    let collected = std::thread::spawn(move || messages(listener.accept().unwrap().0));
    write(&open(vec![outlet()]), "later");
    let lines: Vec<String> = collected.join().unwrap().iter().map(|message| text(message)).collect();
    let count = |word: &str| lines.iter().filter(|line| line.contains(word)).count();
    assert_eq!((count("before"), count("missed"), count("later")), (0, 20, 20));
    let all =
        super::file_names::rotated(&home.path).unwrap().into_iter().map(|(_, path)| path).chain([home.path.clone()]);
    let all: String = all.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    assert!(all.ends_with(&(lines.join("\n") + "\n")), "whole, in order, once each");
}

mod store {
    use super::*;
    use crate::audit::{DecisionFilter, DecisionRetention, Decisions};
    use crate::state::PrivateDir;
    use crate::state::database::{Database, Scope};

    async fn database(home: &Home) -> Database {
        let dir = PrivateDir::open(&home.path.with_file_name("data")).unwrap();
        Database::open(&dir, super::super::tests::NOW).await.unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn decisions_and_heads_come_to_the_store_and_what_waited_comes_after_an_outage() {
        let home = home();
        let journal = home.journal();
        let database = database(&home).await;
        let keeping = tokio::spawn(journal.keep_in(database.clone(), DecisionRetention { max: 1000, ..kept_long() }));
        let decisions = Decisions::new(database.clone());
        // Another writer has the store for longer than anybody waits.
        let held = database.write(Scope::Decisions).await.unwrap();
        let trail = begin(&journal);
        let id = trail.id().unwrap();
        trail.close(denied(), LATENCY);
        while !journal.outlets()[0].failing {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(decisions.find(id).await.unwrap().is_none());
        assert_eq!(begin(&journal).admit(), Ok(()), "the store stops nothing");
        drop(held);
        let found = loop {
            match decisions.find(id).await.unwrap() {
                Some(found) => break found,
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        let closing = Arc::clone(&journal);
        tokio::task::spawn_blocking(move || closing.shutdown()).await.unwrap();
        keeping.await.unwrap();
        let report = super::super::chain_tests::verified(&home.path);
        assert_eq!((found.chain.as_str(), found.seq), (report.chains[0].chain.as_str(), 3));
        let page = decisions.page(&DecisionFilter::default(), None, 10).await.unwrap();
        assert_eq!(page.decisions.len(), 2, "the one that was only admitted is one, too");
        let heads = database.audit_heads(10).await.unwrap();
        let last = report.chains[0].last_head.as_ref().unwrap();
        assert_eq!((heads.len(), heads[0].seq), (1, last.seq));
        let mut verifier = Verifier::new();
        assert!(verifier.expect(&heads[0].head));
        verifier.journal(&home.path).unwrap();
        assert!(verifier.finish().is_good());
    }

    /// The attack: `audience=%00` by anybody. SQLite takes it, PostgreSQL refuses the row.
    #[tokio::test(flavor = "multi_thread")]
    async fn what_a_caller_asks_for_does_not_stop_the_store() {
        let server = crate::state::real_postgres::Postgres::start();
        let home = home();
        let journal = home.journal();
        let database = match &server {
            Some(server) => Database::connect(&server.database_url(), super::super::tests::NOW).await.unwrap(),
            None => database(&home).await,
        };
        let keeping = tokio::spawn(journal.keep_in(database.clone(), kept_long()));
        for target in ["\0", "prod"] {
            let mut trail = begin(&journal);
            trail.asked(target);
            trail.close(denied(), LATENCY);
        }
        let closing = Arc::clone(&journal);
        tokio::task::spawn_blocking(move || closing.shutdown()).await.unwrap();
        keeping.await.unwrap();
        let counters = journal.outlets()[0].counters;
        assert_eq!((counters.delivered, counters.dropped, counters.failures), (2, 0, 0));
        let decisions = Decisions::new(database.clone());
        for target in ["\0", "prod"] {
            let filter = DecisionFilter { target: Some(target.to_owned()), ..DecisionFilter::default() };
            let found = decisions.page(&filter, None, 10).await.unwrap().decisions;
            assert_eq!((found.len(), found[0].record.target.as_deref()), (1, Some(target)));
        }
        assert_eq!(database.audit_heads(10).await.unwrap().len(), 1);
    }

    fn kept_long() -> DecisionRetention {
        DecisionRetention { keep_for: Duration::from_secs(100 * 365 * 24 * 3600), max: u64::MAX >> 1 }
    }
}
