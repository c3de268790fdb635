//! What the engine counted.
//!
//! The ledger: `records_in + records_restored == records_published + records_held + records_end_of_event +
//! records_filtered`. A line that cannot be read is a record that is published as an event of its own.

macro_rules! stats {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counters since the engine was built; `*_held` are levels.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Stats {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Stats {
            /// Name and value of every counter.
            pub fn entries(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name),)*]
            }
        }
    };
}

stats! {
    /// Lines that were not blank.
    records_in,
    /// Records taken over from the state of the process before.
    records_restored,
    records_published,
    records_held,
    /// EOE markers: they end an event and hold nothing.
    records_end_of_event,
    /// Dropped by a rule.
    records_filtered,
    bytes_in,
    events_published,
    events_held,
    events_filtered,
    /// Published although records are known to lack.
    events_incomplete,
    /// Records that came after their event was published, and so made a part of their own.
    late_parts,
    lines_blank,
    lines_unparsed,
    /// Lines cut at the limit, and what was cut off them.
    lines_truncated,
    bytes_cut,
    /// Events published early because a limit was reached: too many events, records of one, bytes of one, bytes of all.
    limit_events,
    limit_event_records,
    limit_event_bytes,
    limit_held_bytes,
    /// Node names forgotten because there were too many.
    limit_nodes,
    gaps,
    gap_serials,
    names_wanted,
    /// Names that did not come in time.
    names_timed_out,
}

impl Stats {
    /// Whether records in and records out agree.
    pub fn balanced(&self) -> bool {
        self.records_in + self.records_restored
            == self.records_published + self.records_held + self.records_end_of_event + self.records_filtered
    }
}
