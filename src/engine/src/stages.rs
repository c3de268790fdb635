//! The first stages by themselves, each with those before it, so that what a stage costs can be measured.

use crate::assembly::Assembly;
use crate::fields::{split_enriched, tokenize, Body};
use crate::header::{parse_after, Stamp};
use crate::layout::Layouts;
use crate::lines::Lines;
use crate::nodes::Nodes;
use crate::options::{Host, Limits, Timing};

/// Lines of a log.
pub fn lines(log: &[u8]) -> usize {
    let mut count = 0;
    Lines::new(Limits::default().line_bytes).feed(log, |_| count += 1);
    count
}

/// Lines whose head can be read.
pub fn headers(log: &[u8]) -> usize {
    let (mut count, mut stamp) = (0, Stamp::default());
    Lines::new(Limits::default().line_bytes).feed(log, |line| {
        let header = parse_after(line.bytes, &mut stamp);
        count += usize::from(header.is_ok_and(|header| header.known_type().is_some()));
    });
    count
}

/// Fields of all records.
pub fn fields(log: &[u8]) -> usize {
    let (mut count, mut stamp, mut layouts) = (0, Stamp::default(), Layouts::default());
    Lines::new(Limits::default().line_bytes).feed(log, |line| {
        let Ok(header) = parse_after(line.bytes, &mut stamp) else { return };
        let (record_type, begun) = (header.known_type(), &line.bytes[header.body..]);
        let mut fields = Vec::with_capacity(64);
        tokenize(Body { record_type, own: split_enriched(begun).0, begun }, layouts.of(record_type), &mut fields);
        count += fields.len();
    });
    count
}

/// Events, put together but not looked into.
pub fn events(log: &[u8]) -> usize {
    let (mut count, mut stamp, mut closed) = (0, Stamp::default(), Vec::new());
    let mut assembly = Assembly::new(Limits::default(), Timing::default());
    let mut nodes = Nodes::new(&Host::default());
    Lines::new(Limits::default().line_bytes).feed(log, |line| {
        let Ok(header) = parse_after(line.bytes, &mut stamp) else { return };
        let node = nodes.get_mut(0);
        node.see_time(header.time_ms);
        assembly.expire(node, 0, &mut closed);
        assembly.take(line.bytes, line.cut, &header, header.known_type(), node, 0, &mut closed);
        for event in closed.drain(..) {
            count += 1;
            assembly.recycle(event);
        }
    });
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stage_counts_what_is_there() {
        let log = b"type=CWD msg=audit(1.000:1): cwd=\"/\"\ntype=EOE msg=audit(1.000:1): \nno record\n";
        assert_eq!((lines(log), headers(log), fields(log), events(log)), (3, 2, 1, 1));
    }
}
