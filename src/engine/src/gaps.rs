//! Missing serials of one node.
//!
//! The kernel numbers its events one by one, so a number that never comes is an event that never came: lost, or never
//! sent (auditd counts DAEMON_* itself; those are not looked at here). A gap is a gap, not a count of lost events: the
//! kernel loses most of them before they get a number.
//!
//! ```text
//! serial == high + 1         next
//! high + 1 < serial          the numbers between are missing, until they come or the wait is over
//! serial <= high, in window  a late one: missing no longer; unless it is much newer, see below
//! far away, or behind by more than records are ever late while its time is newer than all others
//!                            a stray number, or the kernel started again: decided by the next one
//! ```
//! Numbers are compared modulo 2^32: the counter wraps around.

use std::collections::VecDeque;

/// Serials were seen out of order by 2; a host with hundreds of CPUs may do worse.
const WINDOW: u32 = 4096;
/// Further behind than this and newer than every record before is no late record.
const LATE: u32 = 64;
/// A forward jump past this is no gap but another counter: 1,000,000 events lost at once is no working audit.
const MAX_JUMP: u32 = 1_000_000;
/// Missing ranges remembered at a time; the oldest is reported early when there are more.
const MAX_RANGES: usize = 256;

/// A range of serials that did not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    pub first: u32,
    pub last: u32,
    /// Times of the records around it, in milliseconds since 1970.
    pub before_ms: i64,
    pub after_ms: i64,
    /// The process before was killed: some of these may have been published by it.
    pub unclean: bool,
    /// The node's clock when it was noticed.
    noticed: i64,
}

impl Gap {
    pub fn count(&self) -> u32 {
        self.last.wrapping_sub(self.first).wrapping_add(1)
    }
}

#[derive(Clone, Debug, Default)]
pub struct Serials {
    high: Option<u32>,
    high_time_ms: i64,
    newest_ms: i64,
    /// The next gap begins where the process before was killed.
    unclean: bool,
    missing: VecDeque<Gap>,
    /// A serial that was far away, and its time.
    stray: Option<(u32, i64)>,
    due: Vec<Gap>,
}

impl Serials {
    /// Continues after the process before: its highest serial, and the gaps that it had not published.
    pub fn restore(high: u32, time_ms: i64, pending: &[(u32, u32, i64, i64)], clean: bool) -> Self {
        let gap = |&(first, last, before_ms, after_ms): &(u32, u32, i64, i64)| Gap {
            first,
            last,
            before_ms,
            after_ms,
            unclean: false,
            noticed: 0,
        };
        Self {
            high: Some(high),
            high_time_ms: time_ms,
            newest_ms: time_ms,
            unclean: !clean,
            missing: pending.iter().take(MAX_RANGES).map(gap).collect(),
            ..Self::default()
        }
    }

    /// Gaps that were not published yet.
    pub fn waiting(&self) -> impl Iterator<Item = (u32, u32, i64, i64)> + '_ {
        self.missing.iter().chain(&self.due).map(|gap| (gap.first, gap.last, gap.before_ms, gap.after_ms))
    }

    pub fn watermark(&self) -> Option<(u32, i64)> {
        self.high.map(|high| (high, self.high_time_ms))
    }

    /// Takes the serial of a record; `clock` is the node's.
    pub fn see(&mut self, serial: u32, time_ms: i64, clock: i64) {
        let Some(high) = self.high else {
            self.start_at(serial, time_ms);
            return;
        };
        let ahead = serial.wrapping_sub(high);
        let behind = high.wrapping_sub(serial);
        let newest = time_ms > self.newest_ms;
        self.newest_ms = self.newest_ms.max(time_ms);
        if ahead == 0 {
            self.stray = None;
        } else if ahead <= MAX_JUMP {
            if ahead > 1 {
                if self.missing.len() == MAX_RANGES {
                    self.due.extend(self.missing.pop_front());
                }
                self.missing.push_back(Gap {
                    first: high.wrapping_add(1),
                    last: serial.wrapping_sub(1),
                    before_ms: self.high_time_ms,
                    after_ms: time_ms,
                    unclean: std::mem::take(&mut self.unclean),
                    noticed: clock,
                });
            }
            self.unclean = false;
            self.high = Some(serial);
            self.high_time_ms = time_ms;
            self.stray = None;
        } else if behind <= WINDOW && !(newest && behind > LATE) {
            self.found(serial);
            self.stray = None;
        } else {
            self.far(serial, time_ms, clock);
        }
    }

    /// The gaps that have waited long enough for late records.
    pub fn overdue(&mut self, clock: i64, wait_ms: i64) -> Vec<Gap> {
        while self.missing.front().is_some_and(|gap| clock - gap.noticed >= wait_ms) {
            self.due.extend(self.missing.pop_front());
        }
        std::mem::take(&mut self.due)
    }

    /// All gaps, however young.
    pub fn finish(&mut self) -> Vec<Gap> {
        self.due.extend(self.missing.drain(..));
        std::mem::take(&mut self.due)
    }

    pub fn pending(&self) -> bool {
        !self.missing.is_empty() || !self.due.is_empty()
    }

    fn start_at(&mut self, serial: u32, time_ms: i64) {
        self.high = Some(serial);
        self.high_time_ms = time_ms;
        self.newest_ms = time_ms;
        self.unclean = false;
        self.stray = None;
    }

    /// Two numbers in a row from another counter are another counter; one alone is a stray and changes nothing.
    fn far(&mut self, serial: u32, time_ms: i64, clock: i64) {
        match self.stray {
            Some((stray, _)) if stray == serial => {}
            Some((stray, _)) if serial.wrapping_sub(stray) <= MAX_JUMP || stray.wrapping_sub(serial) <= WINDOW => {
                let (low, at) = self.stray.take().unwrap_or((serial, time_ms));
                self.due.extend(self.missing.drain(..));
                self.start_at(low, at);
                self.see(serial, time_ms, clock);
            }
            _ => self.stray = Some((serial, time_ms)),
        }
    }

    /// A missing serial came after all.
    fn found(&mut self, serial: u32) {
        let holds = |gap: &Gap| serial.wrapping_sub(gap.first) < gap.count();
        let Some(index) = self.missing.iter().position(holds) else { return };
        let gap = self.missing[index];
        let before = (gap.first != serial).then(|| Gap { last: serial.wrapping_sub(1), ..gap });
        let after = (gap.last != serial).then(|| Gap { first: serial.wrapping_add(1), ..gap });
        self.missing.remove(index);
        for (offset, part) in [before, after].into_iter().flatten().enumerate() {
            self.missing.insert(index + offset, part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gaps_of(serials: &[u32]) -> Vec<(u32, u32)> {
        let mut state = Serials::default();
        for (i, &serial) in serials.iter().enumerate() {
            // Late records have old times.
            let time = i64::from(serial % 1000);
            state.see(serial, time, i as i64);
        }
        state.finish().iter().map(|gap| (gap.first, gap.last)).collect()
    }

    #[test]
    fn missing_numbers_are_found() {
        assert_eq!(gaps_of(&[5, 6, 9, 10]), [(7, 8)]);
        assert_eq!(gaps_of(&[5, 5, 6, 7]), []);
    }

    #[test]
    fn late_numbers_are_no_gap() {
        assert_eq!(gaps_of(&[1, 3, 2, 4]), []);
        assert_eq!(gaps_of(&[1, 6, 3, 7]), [(2, 2), (4, 5)]);
    }

    #[test]
    fn the_counter_wraps_around() {
        assert_eq!(gaps_of(&[u32::MAX - 1, u32::MAX, 0, 1]), []);
        assert_eq!(gaps_of(&[u32::MAX - 1, 1]), [(u32::MAX, 0)]);
    }

    #[test]
    fn a_restarted_kernel_is_no_gap_and_a_stray_number_no_restart() {
        assert_eq!(gaps_of(&[50_000, 50_001, 1, 2, 4]), [(3, 3)]);
        assert_eq!(gaps_of(&[50_000, 1, 50_001, 50_002]), []);
        assert_eq!(gaps_of(&[5, 3_000_000_000, 6, 7]), []);
    }

    #[test]
    fn a_reboot_that_is_not_far_back_is_seen_by_its_time() {
        let mut state = Serials::restore(3000, 10_000, &[], true);
        for (serial, time) in [(5, 900_000), (6, 900_001), (7, 900_002), (500, 900_003)] {
            state.see(serial, time, 0);
        }
        let gaps = state.finish();
        assert_eq!((gaps.len(), gaps[0].first, gaps[0].last), (1, 8, 499));
    }

    #[test]
    fn a_gap_after_a_kill_says_so() {
        let mut state = Serials::restore(10, 0, &[(7, 8, 0, 0)], false);
        state.see(20, 1, 0);
        state.see(22, 2, 0);
        let gaps = state.finish();
        let shown: Vec<_> = gaps.iter().map(|gap| (gap.first, gap.last, gap.unclean)).collect();
        assert_eq!(shown, [(7, 8, false), (11, 19, true), (21, 21, false)]);
    }

    #[test]
    fn a_gap_waits_for_late_records() {
        let mut state = Serials::default();
        state.see(1, 10, 10);
        state.see(4, 20, 20);
        assert!(state.overdue(2019, 2000).is_empty());
        let gaps = state.overdue(2020, 2000);
        assert_eq!((gaps[0].first, gaps[0].last, gaps[0].before_ms, gaps[0].after_ms), (2, 3, 10, 20));
        assert!(!state.pending());
    }
}
