//! What the engine is told when it is built. Every number's default is here, with its reason.

/// Who "local" is: records without `node=`, or with one of these names.
#[derive(Clone, Debug, Default)]
pub struct Host {
    pub name: String,
    /// The machine-id.
    pub id: String,
    pub nodes: Vec<String>,
    /// Of the machine, as `uname -m` says it; empty if it is not known.
    pub architecture: String,
    /// Changes at every boot of the host; empty if it is not known. Serials start anew then.
    pub boot_id: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IncludeRaw {
    Never,
    /// Only for lines that could not be read.
    #[default]
    Unparsed,
    Always,
}

/// What becomes of the records that a restored state holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Restore {
    /// The process before may have published their event after it saved: they are the next part of it.
    #[default]
    NextPart,
    /// The state is this process's own and all input since is fed again: they keep their identity.
    Replay,
}

/// Bounds on memory; each has a counter of its own in `Stats`.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of one line. auditd writes 8971, 9.3 KiB with a node name; other writers of the format were seen up to 32 KiB.
    pub line_bytes: usize,
    /// Events waiting for more records. A kernel has as many open as it has CPUs; a log that lacks its ends has more.
    pub events: usize,
    /// Records of one event. The longest command line (6 MiB in hex) makes about 1,700 EXECVE records.
    pub event_records: usize,
    /// Bytes of one event: the same command line.
    pub event_bytes: usize,
    /// Bytes of all events held.
    pub held_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { line_bytes: 64 << 10, events: 4096, event_records: 4096, event_bytes: 16 << 20, held_bytes: 64 << 20 }
    }
}

/// Times in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How long an event that looks complete waits for late records, in record time: the kernel's clock has steps of
    /// 4 ms and events were seen spread over 43 lines.
    pub grace_ms: i64,
    /// How long an event waits for its end, in record time; auditd's `end_of_event_timeout`.
    pub event_timeout_ms: i64,
    /// How long the stream has to be silent until waiting makes no sense: records of one event come in one burst, but
    /// auditd may stop in between to flush its log.
    pub idle_ms: u64,
    /// How long an event waits for the names of its users and groups.
    pub name_wait_ms: u64,
    /// How long a name is believed; it is asked again after that, while the old one is used.
    pub name_ttl_ms: u64,
    /// The same for an id without a name: shorter, since accounts are made more often than renamed.
    pub name_negative_ttl_ms: u64,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            grace_ms: 100,
            event_timeout_ms: 2000,
            idle_ms: 1000,
            name_wait_ms: 20,
            name_ttl_ms: 300_000,
            name_negative_ttl_ms: 60_000,
        }
    }
}

/// One rule as the config writes it.
#[derive(Clone, Debug, Default)]
pub struct RuleOptions {
    pub name: String,
    /// Field and values: all fields must match, any of a field's values. A value that ends in `*` matches a prefix.
    pub matches: Vec<(String, Vec<String>)>,
    pub drop: bool,
    /// Names of sinks; `None` leaves the routes alone.
    pub route: Option<Vec<String>>,
    /// Whether it outlives others when something has to be dropped; `None` leaves that to what it is.
    pub keep: Option<bool>,
}

#[derive(Clone, Debug, Default)]
pub struct Options {
    pub host: Host,
    /// When our process started; part of the ids of our own events, so that two processes never share one.
    pub process_start_ms: i64,
    pub json: bool,
    pub msgpack: bool,
    pub include_raw: IncludeRaw,
    /// Ask for names that the records do not carry.
    pub ask_names: bool,
    pub restore: Restore,
    pub limits: Limits,
    pub timing: Timing,
    /// A sink's index is its bit in a frame's routes.
    pub sinks: Vec<String>,
    pub rules: Vec<RuleOptions>,
    /// Names of a site's own fields, and the names of their kinds.
    pub fields: Vec<(String, String)>,
}
