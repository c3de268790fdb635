//! Which records make one event, and when it is published.

mod common;

use common::{documents, engine, ids, options, read, read_with, record, text};
use pyaudit_engine::Limits;

const SYSCALL: &str = "arch=c000003e syscall=59 success=yes exit=0 items=1 pid=5";

fn syscall(ms: u32, serial: u32) -> [String; 2] {
    [record("SYSCALL", ms, serial, SYSCALL), record("PROCTITLE", ms, serial, "proctitle=6C73")]
}

#[test]
fn eoe_publishes_at_once() {
    let mut engine = engine();
    let [first, title] = syscall(0, 1);
    let frames = engine.feed(text(&[&first, &title]).as_bytes());
    assert!(frames.is_empty());
    let frames = engine.feed(text(&[&record("EOE", 0, 1, "")]).as_bytes());
    assert_eq!(ids(&documents(&frames)), ["id:1000.000:1"]);
    assert_eq!(engine.stats().records_end_of_event, 1);
}

#[test]
fn a_record_that_comes_alone_is_published_at_once() {
    let mut engine = engine();
    let frames = engine.feed(text(&[&record("USER_LOGIN", 0, 1, "pid=1 msg='op=login res=success'")]).as_bytes());
    assert_eq!(frames.len(), 1);
}

#[test]
fn a_record_that_announces_contexts_waits_for_them() {
    let login = record("USER_LOGIN", 0, 1, "pid=1 subj=? msg='op=login res=success'");
    let contexts = record("UNKNOWN[1425]", 0, 1, "subj_selinux=u:r:t:s0 subj_apparmor=unconfined");
    let found = read(&[&login, &contexts]);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["auditd"]["record_types"][1], "mac_task_contexts");
    assert_eq!(found[0]["auditd"]["data"]["subj_apparmor"], "unconfined");
}

#[test]
fn a_log_without_eoe_waits_for_late_records_and_no_longer() {
    let mut lines: Vec<String> = syscall(0, 1).to_vec();
    for serial in 2..60 {
        lines.extend(syscall(serial * 10, serial));
    }
    lines.push(record("CWD", 600, 60, "cwd=\"/\""));
    let mut engine = engine();
    let published = engine.feed(text(&lines).as_bytes());
    assert!(published.len() > 30, "{}", published.len());
    let published = documents(&published);
    assert!(published.iter().all(|d| d["auditd"].get("incomplete").is_none()));
    assert_eq!(published[0]["event"]["id"], "id:1000.000:1");
}

#[test]
fn events_may_be_interleaved_and_their_records_in_any_order() {
    let (a, b) = (syscall(0, 1), syscall(4, 2));
    let path = record("PATH", 0, 1, "item=0 name=\"/bin/ls\" nametype=NORMAL");
    let found = read(&[&b[1], &path, &a[1], &b[0], &a[0]]);
    assert_eq!(found.len(), 2);
    let first = found.iter().find(|d| d["event"]["sequence"] == 1).unwrap();
    assert_eq!(first["process"]["pid"], 5);
    assert_eq!(first["auditd"]["message_type"], "syscall");
    assert_eq!(first["auditd"]["record_types"], serde_json::json!(["path", "proctitle", "syscall"]));
}

#[test]
fn a_quiet_time_between_two_records_does_not_split_an_event() {
    let [first, title] = syscall(0, 1);
    let later = record("SYSCALL", 60_000, 2, SYSCALL);
    let found = read(&[&first, &later, &title]);
    assert_eq!(found.len(), 2);
}

#[test]
fn what_comes_after_the_end_is_a_part_of_its_own() {
    let [first, title] = syscall(0, 1);
    let end = record("EOE", 0, 1, "");
    let late = record("PATH", 0, 1, "item=0 name=\"/x\"");
    let (found, stats) = read_with(options(), &[&first, &title, &end, &late]);
    assert_eq!(ids(&found), ["id:1000.000:1", "id:1000.000:1/2"]);
    assert_eq!(found[1]["auditd"]["part"], 2);
    assert_eq!(stats.late_parts, 1);
}

#[test]
fn auditd_numbers_its_own_records_apart() {
    let found = read(&[&record("DAEMON_START", 0, 7, "op=start res=success"), &syscall(0, 7)[0]]);
    assert_eq!(ids(&found), ["id:1000.000:d7", "id:1000.000:7"]);
}

#[test]
fn the_same_serial_on_another_node_is_another_event() {
    let line = record("SYSCALL", 0, 1, SYSCALL);
    let found = read(&[&line, &format!("node=db-1 {line}"), &format!("node=lab.example {}", syscall(0, 1)[1])]);
    assert_eq!(ids(&found), ["id:1000.000:1", "db-1:1000.000:1"]);
    assert_eq!(
        found[1]["host"],
        serde_json::json!({"name": "db-1", "hostname": "db-1", "id": "db-1", "os": {"type": "linux"}})
    );
    assert_eq!(found[0]["process"]["title"], "ls", "a node name of our own is the local host");
}

#[test]
fn an_event_that_lost_its_end_says_so() {
    let whole = syscall(0, 1);
    let broken = record("SYSCALL", 4, 2, SYSCALL);
    let found = read(&[&whole[0], &whole[1], &record("EOE", 0, 1, ""), &broken]);
    assert_eq!(found[1]["auditd"]["incomplete"], "stop");
    let old_kernel = read(&[&broken]);
    assert!(old_kernel[0]["auditd"].get("incomplete").is_none(), "a kernel that marks no ends is no reason to worry");
}

#[test]
fn limits_publish_early_and_lose_nothing() {
    let limits = Limits { events: 4, event_records: 3, ..Limits::default() };
    let mut lines: Vec<String> = (0..5).map(|i| record("PATH", 0, 1, &format!("item={i} name=\"/{i}\""))).collect();
    lines.extend((10..20).map(|serial| record("SYSCALL", 0, serial, SYSCALL)));
    let mut options = options();
    options.limits = limits;
    let (found, stats) = read_with(options, &lines);
    let of_first: Vec<_> =
        ids(&found).into_iter().filter(|id| id.contains(":1") && !id.contains(":1000.000:1")).collect();
    assert!(of_first.is_empty(), "{of_first:?}");
    assert_eq!(ids(&found)[..2], ["id:1000.000:1", "id:1000.000:1/2"]);
    assert_eq!((stats.limit_event_records, stats.limit_events), (1, 7));
    assert_eq!(stats.records_published, 15);
    assert_eq!(found[0]["auditd"]["incomplete"], "limit");
}

#[test]
fn held_bytes_are_bounded() {
    let mut options = options();
    options.limits = Limits { held_bytes: 2000, ..Limits::default() };
    let mut engine = pyaudit_engine::Engine::new(options).unwrap();
    let long = "x".repeat(300);
    for serial in 1..200 {
        let line = record("SYSCALL", 0, serial, &format!("a0={long}"));
        engine.feed(text(&[&line]).as_bytes());
        assert!(engine.stats().records_held <= 6);
    }
    assert!(engine.stats().limit_held_bytes > 100);
    engine.close();
    assert!(engine.stats().balanced());
    let one: Vec<String> = (0..100).map(|i| record("PATH", 0, 1000, &format!("item={i} name=\"{long}\""))).collect();
    for line in &one {
        engine.feed(text(&[line]).as_bytes());
        assert!(engine.stats().records_held <= 6, "an event that is open already is bounded too");
    }
    engine.close();
    assert!(engine.stats().balanced());
}
