//! Values at their places.

mod common;

use common::{read, record};
use serde_json::{json, Value};

fn one(kind: &str, body: &str) -> Value {
    read(&[&record(kind, 0, 1, body)]).remove(0)
}

#[test]
fn a_syscall_is_named_by_its_architecture() {
    let found = one("SYSCALL", "arch=40000003 syscall=11 success=no exit=-13 a0=ff a1=0 a2=0 a3=0 items=0");
    let data = &found["auditd"]["data"];
    assert_eq!((&data["arch"], &data["syscall"], &data["exit"]), (&json!("i386"), &json!("execve"), &json!("EACCES")));
    assert_eq!((&found["event"]["outcome"], &found["auditd"]["result"]), (&json!("failure"), &json!("fail")));
    let unknown = one("SYSCALL", "arch=deadbeef syscall=1 success=yes exit=0");
    assert_eq!(
        (&unknown["auditd"]["data"]["arch"], &unknown["auditd"]["data"]["syscall"]),
        (&json!("deadbeef"), &json!("1"))
    );
}

#[test]
fn a_connection_in_progress_is_no_failure() {
    let syscall = record("SYSCALL", 0, 1, "arch=c000003e syscall=42 success=no exit=-115 a0=3");
    let address = record("SOCKADDR", 0, 1, "saddr=020001BBC0A800010000000000000000");
    let found = read(&[&syscall, &address]).remove(0);
    assert_eq!(found["event"]["outcome"], "unknown");
    assert_eq!(found["destination"], json!({"ip": "192.168.0.1", "port": 443, "address": "192.168.0.1"}));
    assert_eq!(found["network"], json!({"direction": "egress", "type": "ipv4"}));
    assert_eq!(found["auditd"]["data"]["socket"], json!({"family": "ipv4", "addr": "192.168.0.1", "port": "443"}));
}

#[test]
fn unset_is_absent_and_named() {
    let found = one(
        "SYSCALL",
        "arch=c000003e syscall=0 a0=ffffffff auid=4294967295 uid=0 tty=(none) ses=4294967295 key=(null) comm=\"?\"",
    );
    assert_eq!(found["auditd"]["unset"], json!(["auid", "tty", "ses", "key"]));
    assert_eq!(found["process"]["name"], "?", "a program may be called so");
    assert_eq!(found["auditd"]["data"]["a0"], "ffffffff");
    assert!(found["user"].get("audit").is_none());
}

#[test]
fn bytes_that_are_no_text_are_kept_beside() {
    let found = one("CWD", "cwd=2F746D702FFF");
    assert_eq!(found["process"]["working_directory"], "/tmp/\u{fffd}");
    assert_eq!(found["process"]["working_directory_bytes"], "L3RtcC//");
    let found = one("EXECVE", "argc=3 a0=\"a\" a2=FF");
    assert_eq!(found["process"]["args"], json!(["a", null, "\u{fffd}"]));
    assert_eq!(found["process"]["args_bytes"], json!([null, null, "/w=="]));
    assert_eq!(found["auditd"]["incomplete"], "missing");
}

#[test]
fn keys_of_rules_are_tags() {
    assert_eq!(one("SYSCALL", "syscall=1 key=6B31016B32")["tags"], json!(["k1", "k2"]));
    assert_eq!(one("SYSCALL", "syscall=1 key=\"one\"")["tags"], json!(["one"]));
}

#[test]
fn who_comes_first_owns_the_place() {
    let login = record("LOGIN", 0, 1, "pid=9 uid=0 old-auid=4294967295 auid=1000 ses=1 res=1");
    let syscall = record("SYSCALL", 0, 1, "arch=c000003e syscall=1 success=yes pid=9 uid=0 auid=1000 ses=1");
    let found = read(&[&login, &syscall]).remove(0);
    assert_eq!(found["process"]["pid"], 9);
    let names: Vec<&Value> =
        found["auditd"]["records"][0]["fields"].as_array().unwrap().iter().map(|f| &f["name"]).collect();
    assert_eq!(names, ["pid", "uid", "auid", "ses", "res"]);
    assert_eq!(found["event"]["action"], "changed-login-id-to");
}

#[test]
fn names_that_nobody_knows_never_become_keys() {
    let found = one("TRUSTED_APP", "pid=5 msg='foo=ABCD bar=\"q\" res=success'");
    assert_eq!(
        found["auditd"]["records"],
        json!([{"type": "trusted_app", "fields": [{"name": "foo", "value": "ABCD"}, {"name": "bar", "value": "q"}]}])
    );
}

#[test]
fn enriched_names_are_those_of_their_numbers() {
    let body = "auid=1000 uid=0 saddr=00\u{1d}AUID=\"lab\" UID=\"root\" SADDR={ x }";
    let found = one("USER_START", body);
    assert_eq!((&found["user"]["name"], &found["user"]["audit"]["name"]), (&json!("root"), &json!("lab")));
    let found = one("USER_START", "auid=1000 uid=77\u{1d}AUID=6A696D206265616E UID=\"unknown(77)\"");
    assert_eq!(found["user"]["audit"]["name"], "jim bean");
    assert!(found["user"].get("name").is_none());
}

#[test]
fn forged_enrichment_names_nobody() {
    let body = "saddr=01002F746D702F61\u{1d}SADDR={ saddr_fam=local path=/tmp/a\u{1d}AUID=\"root\" UID=\"root\" }";
    let syscall = record("SYSCALL", 0, 1, "arch=c000003e syscall=42 success=no exit=-2 uid=1001");
    let found = read(&[&syscall, &record("SOCKADDR", 0, 1, body)]).remove(0);
    assert!(!found.to_string().contains("root"), "{found}");
    assert_eq!(found["destination"]["address"], "/tmp/a");
}

#[test]
fn security_contexts_are_taken_apart() {
    let found = one("SYSCALL", "syscall=1 subj=unconfined_u:unconfined_r:unconfined_t:s0-s0:c0.c1023");
    assert_eq!(
        found["user"]["selinux"],
        json!({"user": "unconfined_u", "role": "unconfined_r", "domain": "unconfined_t", "level": "s0-s0", "category": "c0.c1023"})
    );
    assert_eq!(
        one("SYSCALL", "syscall=1 subj=docker-default (enforce)")["auditd"]["data"]["subj"],
        "docker-default (enforce)"
    );
}

#[test]
fn denials_say_what_was_denied() {
    let found = one("AVC", "avc:  denied  { read write } for  pid=10 comm=\"a b\" tclass=file permissive=0");
    assert_eq!(found["auditd"]["data"]["seperms"], "read,write");
    assert_eq!(found["event"]["action"], "violated-selinux-policy");
    let found =
        one("AVC", "apparmor=\"DENIED\" operation=\"open\" profile=\"/usr/sbin/cupsd\" name=\"/etc/shadow\" pid=5");
    assert_eq!(found["event"]["action"], "violated-apparmor-policy");
    assert_eq!(found["auditd"]["data"]["operation"], "open");
}

#[test]
fn numbers_that_are_none_are_kept_as_text() {
    let found = one("SYSCALL", "syscall=1 pid=007 ppid=abc");
    assert!(found["process"].get("pid").is_none());
    assert_eq!(found["auditd"]["records"][0]["fields"][0], json!({"name": "pid", "value": "007"}));
}

#[test]
fn a_created_file_is_a_creation() {
    let syscall = record("SYSCALL", 0, 1, "arch=c000003e syscall=2 success=yes exit=3");
    let path = record("PATH", 0, 1, "item=0 name=\"/tmp/x\" nametype=CREATE ouid=0 ogid=4294967295");
    let found = read(&[&syscall, &path]).remove(0);
    assert_eq!(found["event"]["type"], json!(["info", "creation"]));
    assert_eq!(found["auditd"]["paths"], json!([{"item": "0", "name": "/tmp/x", "ouid": "0", "nametype": "CREATE"}]));
    assert_eq!(found["auditd"]["unset"], json!(["ogid"]));
}

#[test]
fn what_the_words_of_a_denial_become_may_be_there_twice() {
    let denial = "avc:  denied  { read write } for  pid=7 comm=\"a\"";
    let found = read(&[&record("AVC", 0, 1, denial), &record("AVC", 0, 1, denial)]).remove(0);
    let fields = found["auditd"]["records"][0]["fields"].as_array().unwrap();
    let names: Vec<&str> = fields.iter().map(|field| field["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["seresult", "seperms", "pid", "comm"]);
}
