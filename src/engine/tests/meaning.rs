//! What an event means: files, arguments, connections, accounts, whatever order the records come in.

mod common;

use common::{documents, options, read, read_with, record};
use pyaudit_engine::{Engine, Options};
use serde_json::{json, Value};

const WHO: &str = "ppid=10 pid=11 auid=1000 uid=0 comm=\"x\" exe=\"/usr/bin/x\"";

fn syscall(serial: u32, call: &str) -> String {
    record("SYSCALL", serial * 4, serial, &format!("arch=c000003e {call} {WHO}"))
}

fn event(serial: u32, call: &str, rest: &[(&str, &str)]) -> Vec<String> {
    let mut lines = vec![syscall(serial, call)];
    lines.extend(rest.iter().map(|(kind, body)| record(kind, serial * 4, serial, body)));
    lines.push(record("EOE", serial * 4, serial, ""));
    lines
}

fn read_all(events: &[Vec<String>]) -> Vec<Value> {
    read(&events.concat())
}

fn one(call: &str, rest: &[(&str, &str)]) -> Value {
    read_all(&[event(1, call, rest)]).remove(0)
}

#[test]
fn a_relative_name_becomes_the_path_it_stands_for() {
    let paths = [
        ("CWD", "cwd=\"/home/lab\""),
        ("PATH", "item=0 name=\"../../etc/\" inode=1 nametype=PARENT"),
        ("PATH", "item=1 name=\"../../etc/./x.conf\" inode=2 dev=fe:01 mode=0100640 ouid=0 ogid=4 nametype=CREATE"),
    ];
    let found = one("syscall=257 success=yes exit=3 a0=ffffff9c a1=1 a2=241 a3=1b6", &paths);
    let file = json!({"path": "/etc/x.conf", "name": "x.conf", "extension": "conf", "device": "fe:01", "inode": "2",
        "mode": "0640", "uid": "0", "gid": "4"});
    assert_eq!(found["file"], file);
    assert_eq!(found["auditd"]["paths"][1]["name"], "../../etc/./x.conf");
    assert_eq!(found["auditd"]["summary"]["object"], json!({"type": "file", "primary": "/etc/x.conf"}));
    assert_eq!(found["event"]["type"], json!(["info", "creation"]));
    let elsewhere = one("syscall=257 success=yes exit=3 a0=5 a1=1 a2=241 a3=1b6", &paths);
    assert_eq!(elsewhere["file"]["path"], "../../etc/./x.conf", "the directory is descriptor 5, whatever that is");
}

#[test]
fn a_rename_has_two_files_in_any_order() {
    let mut rest = vec![
        ("CWD", "cwd=\"/tmp\""),
        ("PATH", "item=0 name=\"/tmp\" inode=1 mode=041777 nametype=PARENT"),
        ("PATH", "item=1 name=\"/tmp\" inode=1 mode=041777 nametype=PARENT"),
        ("PATH", "item=2 name=\"old\" inode=7 mode=0100644 nametype=DELETE"),
        ("PATH", "item=3 name=\"new\" inode=7 mode=0100644 nametype=CREATE"),
    ];
    for _ in 0..2 {
        let found = one("syscall=82 success=yes exit=0 a0=1 a1=2", &rest);
        assert_eq!((&found["file"]["path"], &found["file"]["target_path"]), (&json!("/tmp/old"), &json!("/tmp/new")));
        assert_eq!(found["event"]["action"], "renamed");
        assert_eq!(found["auditd"]["summary"]["object"]["secondary"], "/tmp/new");
        rest.reverse();
    }
}

#[test]
fn a_file_that_is_not_there_is_still_the_object() {
    let found = one(
        "syscall=257 success=no exit=-2 a0=ffffff9c a1=1 a2=0 a3=0",
        &[("CWD", "cwd=\"/\""), ("PATH", "item=0 name=\"/nonexistent\" nametype=UNKNOWN")],
    );
    assert_eq!(found["file"], json!({"path": "/nonexistent", "name": "nonexistent"}));
    assert_eq!((&found["event"]["outcome"], &found["auditd"]["data"]["exit"]), (&json!("failure"), &json!("ENOENT")));
}

#[test]
fn arguments_are_read_as_their_syscall_reads_them() {
    let decoded = |call: &str| one(call, &[])["auditd"]["decoded"].clone();
    assert_eq!(
        decoded("syscall=257 exit=3 a0=ffffffffffffff9c a1=1 a2=80241 a3=1b6"),
        json!({"a0": ["AT_FDCWD"], "a2": ["O_WRONLY", "O_CREAT", "O_TRUNC", "O_CLOEXEC"], "a3": ["0666"]})
    );
    assert_eq!(decoded("syscall=257 exit=3 a0=4 a1=1 a2=0 a3=1b6"), json!({"a2": ["O_RDONLY"]}), "nothing is created");
    assert_eq!(decoded("syscall=41 exit=3 a0=26 a1=5 a2=0")["a0"], json!(["AF_ALG"]));
    assert_eq!(decoded("syscall=62 exit=0 a0=b a1=9")["a1"], json!(["SIGKILL"]));
    let unknown = decoded("syscall=10 exit=0 a0=1 a1=1000 a2=80000007");
    assert_eq!(unknown["a2"], json!(["PROT_READ", "PROT_WRITE", "PROT_EXEC", "0x80000000"]));
    assert_eq!(decoded("syscall=9999 a0=1 a1=2"), Value::Null);
}

#[test]
fn socketcall_is_the_call_that_it_makes() {
    let lines = [
        record("SYSCALL", 0, 1, &format!("arch=40000003 syscall=102 success=yes exit=3 a0=1 a1=bf a2=0 a3=0 {WHO}")),
        record("SOCKETCALL", 0, 1, "nargs=3 a0=2 a1=1 a2=6"),
    ];
    let found = read(&[&lines[0], &lines[1]]).remove(0);
    assert_eq!(found["auditd"]["data"]["syscall"], "socketcall");
    assert_eq!(found["auditd"]["decoded"]["a0"], json!(["socket"]));
    let fields = &found["auditd"]["records"][0]["fields"];
    assert_eq!(fields[0], json!({"name": "a0", "value": "2", "decoded": "AF_INET"}));
    assert_eq!(fields[1], json!({"name": "a1", "value": "1", "decoded": "SOCK_STREAM"}));
    let connect = read(&[&lines[0].replace("a0=1 a1=bf", "a0=3 a1=bf")]).remove(0);
    assert_eq!(connect["event"]["action"], "connected-to");
}

#[test]
fn ids_among_the_arguments_have_names() {
    let mut engine = Engine::new(Options { ask_names: true, ..options() }).unwrap();
    for (id, name) in [(0, "root"), (1000, "lab")] {
        engine.tell(pyaudit_engine::NameKind::User, id, Some(name));
    }
    let lines = event(1, "syscall=117 success=yes exit=0 a0=3e8 a1=ffffffff a2=0", &[]);
    let mut found = documents(&engine.feed(common::text(&lines).as_bytes()));
    found.extend(documents(&engine.close()));
    assert_eq!(found[0]["auditd"]["decoded"], json!({"a0": ["lab"], "a1": ["unset"], "a2": ["root"]}));
    assert_eq!(found[0]["related"]["user"], json!(["lab", "root"]));
    assert_eq!(found[0]["auditd"]["summary"]["actor"], json!({"primary": "lab", "secondary": "root"}));
}

const ADDRESS: (&str, &str) = ("SOCKADDR", "saddr=020001BBC0A800010000000000000000");
const SOCKET: &str = "syscall=41 success=yes exit=3 a0=2 a1=80001 a2=0 a3=0";
const CONNECT: &str = "syscall=42 success=yes exit=0 a0=3 a1=1 a2=10";

fn transports(events: &[Vec<String>]) -> Vec<Value> {
    let with_address = |found: &&Value| found["auditd"]["data"]["socket"].is_object();
    read_all(events).iter().filter(with_address).map(|found| found["network"]["transport"].clone()).collect()
}

#[test]
fn a_connection_says_tcp_where_its_socket_was_seen() {
    let connect = |serial| event(serial, CONNECT, &[ADDRESS]);
    let plain = |serial, call: &str| event(serial, call, &[]);
    assert_eq!(transports(&[plain(1, SOCKET), connect(2), connect(3)]), ["tcp", "tcp"]);
    assert_eq!(transports(&[plain(1, "syscall=41 success=yes exit=3 a0=2 a1=2 a2=0"), connect(2)]), ["udp"]);
    assert_eq!(transports(&[plain(1, "syscall=41 success=yes exit=3 a0=a a1=3 a2=3a"), connect(2)]), ["ipv6-icmp"]);
    for gone in [
        "syscall=3 success=yes exit=0 a0=3",
        "syscall=59 success=yes exit=0 a0=1",
        "syscall=41 success=yes exit=3 a0=1 a1=1 a2=0",
    ] {
        assert_eq!(transports(&[plain(1, SOCKET), plain(2, gone), connect(3)]), [Value::Null], "after {gone}");
    }
    assert_eq!(transports(&[connect(1)]), [Value::Null], "a socket that was not seen");
    let failed = plain(2, "syscall=59 success=no exit=-2 a0=1");
    assert_eq!(transports(&[plain(1, SOCKET), failed, connect(3)]), ["tcp"], "the program goes on");
    let duplicate = plain(2, "syscall=33 success=yes exit=9 a0=3 a1=9");
    let other = event(3, &CONNECT.replace("a0=3", "a0=9"), &[ADDRESS]);
    assert_eq!(transports(&[plain(1, SOCKET), duplicate, other]), ["tcp"]);
    let accepted = event(2, "syscall=43 success=yes exit=7 a0=3 a1=1 a2=1", &[ADDRESS]);
    let received = event(3, "syscall=45 success=yes exit=1 a0=7 a1=1", &[ADDRESS]);
    assert_eq!(transports(&[plain(1, SOCKET), accepted, received]), ["tcp", "tcp"]);
}

#[test]
fn sockets_are_known_after_a_restart() {
    let text = |lines: Vec<String>| lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect::<String>();
    let mut before = Engine::new(options()).unwrap();
    before.feed(text(event(1, SOCKET, &[])).as_bytes());
    before.close();
    let mut after = Engine::new(options()).unwrap();
    after.restore(&before.state()).unwrap();
    let found = documents(&after.feed(text(event(2, CONNECT, &[ADDRESS])).as_bytes()));
    assert_eq!(found[0]["network"]["transport"], "tcp");
}

#[test]
fn a_login_says_who_and_from_where() {
    let body = "pid=1 uid=0 auid=4294967295 ses=4294967295 msg='op=login acct=\"lab\" exe=\"/usr/sbin/sshd\" \
                hostname=client.example addr=203.0.113.7 terminal=ssh res=failed'";
    let found = read(&[&record("USER_LOGIN", 0, 1, body)]).remove(0);
    assert_eq!((&found["event"]["action"], &found["event"]["outcome"]), (&json!("logged-in"), &json!("failure")));
    assert_eq!(found["user"]["effective"], json!({"name": "lab"}));
    assert_eq!(found["source"], json!({"ip": "203.0.113.7", "address": "203.0.113.7", "domain": "client.example"}));
    assert_eq!(found["related"], json!({"user": ["lab"], "ip": ["203.0.113.7"]}));
    assert_eq!(found["auditd"]["summary"]["actor"], json!({"primary": "unset", "secondary": "lab"}));
    assert_eq!(found["auditd"]["summary"]["how"], "/usr/sbin/sshd");
    let local = read(&[&record("USER_LOGIN", 0, 1, &body.replace("203.0.113.7", "?"))]).remove(0);
    assert_eq!(local["source"], json!({"address": "client.example", "domain": "client.example"}));
}

#[test]
fn accounts_that_are_managed_are_targets() {
    let body = "pid=1 uid=0 auid=1000 msg='op=add-user id=1001 exe=\"/usr/sbin/useradd\" acct=\"alice\" res=success'";
    let found = read(&[&record("ADD_USER", 0, 1, body)]).remove(0);
    assert_eq!(found["user"]["target"], json!({"id": "1001", "name": "alice"}));
    assert_eq!(found["event"]["category"], json!(["iam"]));
    let group = read(&[&record("ADD_GROUP", 0, 1, &body.replace("add-user", "add-group"))]).remove(0);
    assert_eq!(group["group"], json!({"id": "1001", "name": "alice"}));
    assert!(group["user"].get("target").is_none());
}

#[test]
fn a_record_of_its_own_meaning_keeps_that_of_its_syscall() {
    let avc = "apparmor=\"DENIED\" operation=\"userns_create\" class=\"namespace\" profile=\"x\"";
    let found = one("syscall=272 success=no exit=-13 a0=10000000", &[("AVC", avc)]);
    assert_eq!(found["event"]["action"], "violated-apparmor-policy");
    let categories = found["event"]["category"].as_array().unwrap();
    assert!(categories.contains(&json!("process")), "{categories:?}");
    assert_eq!(
        (&found["auditd"]["data"]["syscall"], &found["auditd"]["data"]["class"]),
        (&json!("unshare"), &json!("namespace"))
    );
}

#[test]
fn capabilities_are_named() {
    let capset = "pid=11 cap_pi=0 cap_pp=3000 cap_pe=1000 cap_pa=0";
    let found = one("syscall=126 success=yes exit=0 a0=1 a1=2", &[("CAPSET", capset)]);
    assert_eq!(
        found["process"]["thread"]["capabilities"],
        json!({"permitted": ["CAP_NET_ADMIN", "CAP_NET_RAW"], "effective": ["CAP_NET_ADMIN"]})
    );
    assert_eq!(found["auditd"]["data"]["cap_pp"], "3000");
    assert_eq!(found["auditd"]["decoded"]["cap_pp"], json!(["CAP_NET_ADMIN", "CAP_NET_RAW"]));
}

#[test]
fn a_sites_own_fields_are_read_as_it_says() {
    let fields = [("site_user", "uid"), ("site_text", "escaped"), ("site_caps", "capabilities")];
    let fields = fields.map(|(name, kind)| (name.to_owned(), kind.to_owned())).to_vec();
    let mut names = Engine::new(Options { fields: fields.clone(), ask_names: true, ..options() }).unwrap();
    names.tell(pyaudit_engine::NameKind::User, 7, Some("lp"));
    let line = record("USER", 0, 1, "pid=1 site_user=7 site_text=6C73 site_caps=1 other=6C73");
    names.feed(line.as_bytes());
    let found = documents(&names.close());
    assert_eq!(
        found[0]["auditd"]["records"][0]["fields"],
        json!([{"name": "site_user", "value": "7"}, {"name": "site_user_name", "value": "lp"},
            {"name": "site_text", "value": "ls"}, {"name": "site_caps", "value": "1", "decoded": "CAP_CHOWN"},
            {"name": "other", "value": "6C73"}])
    );
    for (name, kind, error) in [("exe", "uid", "known already"), ("x", "nosuch", "no kind \"nosuch\"")] {
        let fields = vec![(name.to_owned(), kind.to_owned())];
        assert!(Engine::new(Options { fields, ..options() }).unwrap_err().contains(error));
    }
}

#[test]
fn the_host_says_what_machine_it_is() {
    let mut with = options();
    with.host.architecture = "aarch64".into();
    let lines = [record("USER", 0, 1, "pid=1"), format!("node=db-1 {}", record("USER", 0, 1, "pid=1"))];
    let (found, _) = read_with(with, &[&lines[0], &lines[1]]);
    assert_eq!((&found[0]["host"]["architecture"], &found[0]["host"]["hostname"]), (&json!("aarch64"), &json!("lab")));
    assert!(found[1]["host"].get("architecture").is_none(), "nobody knows what a foreign node is");
}
