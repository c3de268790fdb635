//! The engine over time: silence, names, restarts, gaps, rules.

mod common;

use common::{documents, engine, ids, options, read_with, record, text};
use pyaudit_engine::{Engine, IncludeRaw, Limits, NameKind, Options, Restore, RuleOptions};

const SYSCALL: &str = "arch=c000003e syscall=59 success=yes exit=0 pid=5 uid=1000 gid=27";

fn login(serial: u32, uid: u32) -> String {
    record("USER_LOGIN", serial * 4, serial, &format!("pid=1 uid={uid} msg='op=login res=success'"))
}

#[test]
fn silence_publishes_what_waits() {
    let mut engine = engine();
    engine.feed(text(&[&record("SYSCALL", 0, 1, SYSCALL)]).as_bytes());
    assert!(engine.tick(5000).is_empty(), "the silence begins with the first tick after the bytes");
    assert!(engine.tick(5900).is_empty());
    assert_eq!(engine.tick(6000).len(), 1);
    assert_eq!(engine.stats().events_held, 0);
}

#[test]
fn a_busy_stream_is_not_aged_by_ticks() {
    let mut engine = engine();
    for now in 0..50_u32 {
        engine.feed(text(&[&record("SYSCALL", now, now + 1, SYSCALL)]).as_bytes());
        assert!(engine.tick(u64::from(now) * 500).is_empty());
    }
}

#[test]
fn a_name_is_waited_for_and_order_is_kept() {
    let mut options = options();
    options.ask_names = true;
    let mut engine = Engine::new(options).unwrap();
    assert!(engine.feed(text(&[&login(1, 1000), &login(2, 0)]).as_bytes()).is_empty());
    assert_eq!(engine.wants(), [(NameKind::User, 1000), (NameKind::User, 0)]);
    engine.tell(NameKind::User, 0, None);
    assert!(engine.tick(1).is_empty(), "the second event waits behind the first");
    engine.tell(NameKind::User, 1000, Some("lab"));
    let found = documents(&engine.tick(2));
    assert_eq!(found[0]["user"]["name"], "lab");
    assert!(found[1]["user"].get("name").is_none());
}

#[test]
fn a_lookup_that_hangs_costs_one_event_20_ms_and_its_name() {
    let mut options = options();
    options.ask_names = true;
    let mut engine = Engine::new(options).unwrap();
    assert!(engine.feed(text(&[&login(1, 1000)]).as_bytes()).is_empty());
    assert!(engine.tick(100).is_empty());
    assert!(engine.tick(119).is_empty());
    assert_eq!(engine.tick(120).len(), 1);
    assert_eq!(engine.feed(text(&[&login(2, 1000)]).as_bytes()).len(), 1, "nobody waits for it again");
    assert_eq!(engine.stats().names_timed_out, 1);
}

#[test]
fn events_that_come_together_are_not_taken_for_too_many() {
    let lines: Vec<String> = (1..100).map(|serial| login(serial, 0)).collect();
    let limits = Options::default().limits;
    for limits in [Limits { events: 4, ..limits }, Limits { held_bytes: 400, ..limits }] {
        let (found, stats) = read_with(Options { limits, ..options() }, &lines);
        assert_eq!((found.len(), stats.limit_held_bytes), (99, 0));
    }
    // One event that is large.
    let part = record("CWD", 16, 4, &format!("cwd=\"{}\"", "a".repeat(250)));
    let large = [&lines[0], &lines[1], &lines[2], &part, &part, &part, &record("EOE", 16, 4, "")];
    let limits = Limits { held_bytes: 1000, ..limits };
    let (found, stats) = read_with(Options { limits, ..options() }, &large);
    assert_eq!((found.len(), stats.limit_held_bytes), (4, 0));
}

#[test]
fn who_finds_no_room_to_wait_in_goes_without_a_name() {
    let limits = Limits { events: 4, ..Options::default().limits };
    let mut engine = Engine::new(Options { limits, ask_names: true, ..options() }).unwrap();
    let lines: Vec<String> = (1..=6).map(|serial| login(serial, 1000 + serial)).collect();
    assert_eq!(ids(&documents(&engine.feed(text(&lines).as_bytes()))), ["id:1000.004:1", "id:1000.008:2"]);
    assert_eq!((engine.stats().limit_held_bytes, engine.stats().events_held), (2, 4));
}

#[test]
fn lookups_that_hang_cost_all_events_20_ms_together() {
    let mut options = options();
    options.ask_names = true;
    let mut engine = Engine::new(options).unwrap();
    let lines: Vec<String> = (1..=300).map(|i| login(i, 5000 + i)).collect();
    assert!(engine.feed(text(&lines).as_bytes()).is_empty());
    assert_eq!(engine.wants().len(), 300, "those behind the first ask at once");
    engine.tick(1000);
    assert_eq!(engine.tick(1020).len(), 300);
    assert_eq!(engine.stats().names_timed_out, 300);
}

#[test]
fn the_next_process_knows_what_was_published() {
    let mut before = engine();
    let whole = [record("SYSCALL", 0, 1, SYSCALL), record("EOE", 0, 1, "")];
    before.feed(text(&[&whole[0], &whole[1], &record("SYSCALL", 4, 2, SYSCALL)]).as_bytes());
    let stopped = documents(&before.close());
    assert_eq!(ids(&stopped), ["id:1000.004:2"]);
    assert_eq!(stopped[0]["auditd"]["incomplete"], "stop");
    let mut after = engine();
    after.restore(&before.state()).unwrap();
    let late = [record("PATH", 0, 1, "item=0 name=\"/x\""), record("PROCTITLE", 4, 2, "proctitle=\"x\"")];
    after.feed(text(&[&late[0], &late[1], &record("SYSCALL", 8, 3, SYSCALL)]).as_bytes());
    let found = documents(&after.close());
    assert_eq!(ids(&found), ["id:1000.000:1/2", "id:1000.004:2/2", "id:1000.008:3"]);
    assert_eq!(found[2]["auditd"]["incomplete"], "stop", "it is known that events have an end on this host");
}

#[test]
fn a_replay_gives_the_same_ids() {
    let mut before = engine();
    before.feed(text(&[&record("SYSCALL", 0, 1, SYSCALL)]).as_bytes());
    let mut options = options();
    options.restore = Restore::Replay;
    let mut again = Engine::new(options).unwrap();
    again.restore(&before.state()).unwrap();
    assert_eq!(ids(&documents(&again.close())), ["id:1000.000:1"]);
}

#[test]
fn events_that_waited_for_a_name_keep_their_ids_in_a_replay() {
    let asking = |restore| Options { ask_names: true, restore, ..options() };
    let mut before = Engine::new(asking(Restore::NextPart)).unwrap();
    // The second has the number of the first, which was closed.
    assert!(before.feed(text(&[&login(1, 1000), &login(1, 1000), &login(2, 0)]).as_bytes()).is_empty());
    for (restore, expected) in [
        (Restore::Replay, ["id:1000.004:1", "id:1000.004:1/2", "id:1000.008:2"]),
        (Restore::NextPart, ["id:1000.004:1/3", "id:1000.004:1/4", "id:1000.008:2/2"]),
    ] {
        let mut again = Engine::new(asking(restore)).unwrap();
        again.restore(&before.state()).unwrap();
        assert_eq!(again.wants(), [(NameKind::User, 1000), (NameKind::User, 0)]);
        assert_eq!(ids(&documents(&again.close())), expected);
    }
}

#[test]
fn what_a_restart_publishes_comes_with_the_first_frames() {
    let lines: Vec<String> = (1..=5).map(|serial| record("CWD", 0, serial, "cwd=\"/\"")).collect();
    let mut before = engine();
    before.feed(text(&lines).as_bytes());
    // There is room for fewer now, so that one has to be published at once.
    let mut options = options();
    (options.limits.events, options.restore) = (4, Restore::Replay);
    let mut again = Engine::new(options).unwrap();
    again.restore(&before.state()).unwrap();
    assert_eq!((again.stats().events_published, again.stats().events_held), (1, 4));
    assert_eq!(ids(&documents(&again.tick(0))), ["id:1000.000:1"]);
}

#[test]
fn a_gap_that_was_not_published_is_not_forgotten() {
    let mut before = engine();
    before.feed(text(&[&login(1, 0), &login(5, 0)]).as_bytes());
    let mut after = engine();
    after.restore(&before.state()).unwrap();
    let found = documents(&after.close());
    assert_eq!(found[0]["auditd"]["gap"]["count"], 3);
}

#[test]
fn a_kill_is_said_with_the_gap_behind_it() {
    let mut before = engine();
    before.feed(text(&[&login(1, 0)]).as_bytes());
    let unclean = before.state();
    before.close();
    let clean = before.state();
    for (state, cause) in [(unclean, Some("unclean_stop")), (clean, None)] {
        let mut after = engine();
        after.restore(&state).unwrap();
        after.feed(text(&[&login(9, 0)]).as_bytes());
        let found = documents(&after.close());
        assert_eq!(found[0]["auditd"]["gap"].get("cause").and_then(|cause| cause.as_str()), cause);
    }
}

#[test]
fn serials_of_another_boot_are_not_compared() {
    let boot = |id: &str| {
        let mut options = options();
        options.host.boot_id = id.into();
        Engine::new(options).unwrap()
    };
    let mut before = boot("one");
    before.feed(text(&[&login(100, 0)]).as_bytes());
    let mut after = boot("two");
    after.restore(&before.state()).unwrap();
    after.feed(text(&[&login(150, 0)]).as_bytes());
    assert!(after.close().is_empty());
}

#[test]
fn foreign_records_ask_for_no_names() {
    let mut options = options();
    options.ask_names = true;
    let mut engine = Engine::new(options).unwrap();
    assert_eq!(engine.feed(text(&[&format!("node=db-1 {}", login(1, 1000))]).as_bytes()).len(), 1);
    assert!(engine.wants().is_empty());
}

#[test]
fn a_gap_is_seen_across_a_restart_and_held_records_go_on() {
    let mut before = engine();
    before.feed(text(&[&login(1, 0), &record("SYSCALL", 8, 2, SYSCALL)]).as_bytes());
    let state = before.state();
    let mut after = engine();
    after.restore(&state).unwrap();
    let mut found = documents(&after.feed(text(&[&record("EOE", 8, 2, ""), &login(6, 0)]).as_bytes()));
    found.extend(documents(&after.close()));
    assert_eq!(found[0]["event"]["id"], "id:1000.008:2/2", "the process before may have published the event itself");
    assert_eq!(found[0]["process"]["pid"], 5);
    let gap = &found.iter().find(|d| d["event"]["action"] == "serial-gap").unwrap()["auditd"]["gap"];
    assert_eq!((gap["first"].as_u64(), gap["last"].as_u64(), gap["count"].as_u64()), (Some(3), Some(5), Some(3)));
    let stats = after.stats();
    assert_eq!((stats.records_restored, stats.gap_serials), (1, 3));
    assert!(stats.balanced());
}

#[test]
fn a_state_that_is_none_is_refused() {
    assert!(engine().restore(b"nonsense").is_err());
    let state = engine().state();
    assert!(engine().restore(&state[..state.len() - 1]).is_err());
}

#[test]
fn lines_that_cannot_be_read_are_published() {
    let (found, stats) = read_with(options(), &["garbage", "", "type=SYSCALL msg=audit(x): a=1"]);
    assert_eq!(found.len(), 2);
    assert_eq!(found[0]["event"]["original"][0], "garbage");
    assert_eq!(found[0]["event"]["kind"], "pipeline_error");
    assert_eq!(ids(&found), ["id:p0-1", "id:p0-2"]);
    assert_eq!((stats.lines_unparsed, stats.lines_blank), (2, 1));
}

#[test]
fn raw_lines_are_included_as_asked() {
    let mut always = options();
    always.include_raw = IncludeRaw::Always;
    let (found, _) = read_with(always, &[&login(1, 0)]);
    assert_eq!(found[0]["event"]["original"][0], login(1, 0));
    let mut never = options();
    never.include_raw = IncludeRaw::Never;
    let (found, _) = read_with(never, &["garbage"]);
    assert!(found[0]["event"].get("original").is_none());
}

#[test]
fn rules_drop_and_route_but_never_a_gap() {
    let rule = |field: &str, value: &str, drop: bool, route: Option<&str>| RuleOptions {
        name: "rule".into(),
        matches: vec![(field.into(), vec![value.into()])],
        drop,
        route: route.map(|sink| vec![sink.into()]),
        keep: None,
    };
    let mut options = options();
    options.rules = vec![
        rule("uid", "0", true, None),
        rule("action", "logged-in", false, Some("two")),
        rule("host", "*", true, None),
    ];
    let mut engine = Engine::new(options).unwrap();
    engine.feed(text(&[&login(1, 0), &login(2, 5), &login(9, 0)]).as_bytes());
    let mut engine = {
        engine.close();
        assert!(engine.stats().balanced());
        assert_eq!(engine.stats().records_filtered, 2);
        engine
    };
    let frames = engine.feed(text(&[&login(10, 5), &login(20, 0)]).as_bytes());
    assert_eq!(frames.get(0).unwrap().routes, 0b10);
    let gaps = engine.close();
    assert_eq!(gaps.get(0).unwrap().routes, 0b11, "loss is said to everybody");
}

#[test]
fn a_frame_says_what_is_in_its_document() {
    let mut engine = engine();
    let line = record("USER_LOGIN", 4, 1, "pid=1 uid=0 ses=3 msg='op=login res=success'");
    let frames = engine.feed(text(&[&line]).as_bytes());
    let frame = frames.get(0).unwrap();
    assert_eq!((frame.id, frame.host, frame.session), ("id:1000.004:1", "lab", Some("3")));
    assert_eq!((frame.category, frame.keep, frame.records, frame.time_ms), ("authentication", true, 1, 1_000_004));
    assert!(frame.msgpack.is_none());
}

#[test]
fn a_line_that_broke_the_engine_can_be_published_unread() {
    let mut engine = engine();
    let frames = engine.feed_unparsed(login(1, 0).as_bytes());
    assert_eq!(documents(&frames)[0]["event"]["action"], "unparsed-line");
    assert!(engine.stats().balanced());
}

#[test]
fn a_nul_before_the_newline_marks_a_cut_record() {
    let (found, stats) = read_with(options(), &["type=USER msg=audit(1.001:5): pid=1 msg='op=x\0"]);
    assert_eq!(found[0]["auditd"]["truncated"][0], "line");
    assert_eq!(stats.lines_truncated, 1);
}

#[test]
fn a_mark_of_an_end_that_was_cut_off_is_no_event() {
    let whole = record("USER_LOGIN", 0, 1, "pid=1 uid=0");
    let lines = [&whole, "type=EOE msg=audit(179", "type=EOE msg=audit(1795285636.850:3", "type=EOE msg=audit("];
    let (found, stats) = read_with(options(), &lines);
    assert_eq!(found.len(), 1);
    assert_eq!((stats.records_end_of_event, stats.lines_truncated, stats.lines_unparsed), (3, 3, 0));
    let (found, stats) = read_with(options(), &["type=EOE msg=audit(x", "type=EOX msg=audit(179", "type=EOE"]);
    assert_eq!((found.len(), stats.lines_unparsed), (3, 3));
}

#[test]
fn too_many_nodes_lose_nothing() {
    let lines: Vec<String> = (0..1500).map(|i| format!("node=n{i} {}", record("SYSCALL", 0, 1, SYSCALL))).collect();
    let (found, stats) = read_with(options(), &lines);
    assert_eq!(found.len(), 1500);
    assert_eq!(stats.limit_nodes, 1);
    assert_eq!(found[1499]["host"]["name"], "n1499");
}

#[test]
fn the_last_events_of_a_file_wait_for_their_names_too() {
    let mut engine = Engine::new(Options { ask_names: true, ..options() }).unwrap();
    engine.feed(record("USER", 0, 1, "pid=1 uid=7").as_bytes());
    assert!(engine.end().is_empty(), "it waits for a name");
    assert_eq!(engine.wants(), [(NameKind::User, 7)]);
    engine.tell(NameKind::User, 7, Some("lp"));
    let found = documents(&engine.tick(0));
    assert_eq!(found[0]["user"]["name"], "lp");
    assert!(engine.close().is_empty());
    assert!(engine.stats().balanced());
}
