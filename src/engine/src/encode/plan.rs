//! How documents of one shape are written: what stands between their values, ready to be copied.
//!
//! The shape of a document is which of its places are filled. A host's events have a few hundred shapes, so keys, heads of
//! objects and brackets are put together once for each, and not once for each event.

use std::sync::Arc;

use foldhash::HashMap;
use pyaudit_knowledge::{place, Place};

use super::Encoding;
use crate::document::{Document, Filled};

/// Plans that are kept, some 2 KB each. Whoever makes up more shapes has every plan made again.
const KEPT: usize = 1024;
/// Behind the last of the fixed bytes, so that any of them begins a block.
const ROOM: usize = 32;

/// A value, and what stands before it.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub at: Place,
    pub length: u16,
    pub from: u32,
}

#[derive(Debug)]
pub struct Plan {
    pub steps: Vec<Step>,
    /// What stands between the values, and `ROOM` bytes that do not count.
    fixed: Vec<u8>,
    /// Where that begins which stands behind the last value.
    end: usize,
}

impl Plan {
    /// The plan of a document that is finished. What is in the encoding's buffer stays as it is.
    fn of<E: Encoding>(document: &Document, encoding: &mut E) -> Self {
        let begin = encoding.out().len();
        let (keys, mut steps) = (keys(document), Vec::new());
        // What is open: the objects, and what their ends have to be told.
        let mut open = vec![(Place::NONE, encoding.map(keys[Place::NONE.index()]))];
        let mut from = 0;
        for at in document.places() {
            while open.last().is_some_and(|&(object, _)| !holds(object, at)) {
                open.pop().into_iter().for_each(|(_, start)| encoding.end_map(start));
            }
            for object in ancestors(at).into_iter().skip(open.len() - 1) {
                encoding.known_key(object.key());
                open.push((object, encoding.map(keys[object.index()])));
            }
            encoding.known_key(at.key());
            let end = encoding.out().len() - begin;
            steps.push(Step { at, length: (end - from) as u16, from: from as u32 });
            from = end;
        }
        while let Some((_, start)) = open.pop() {
            encoding.end_map(start);
        }
        // Only now: an end changes what its object began with.
        let mut fixed = encoding.out().written()[begin..].to_vec();
        encoding.out().back_to(begin);
        fixed.extend_from_slice(&[0; ROOM]);
        Self { steps, fixed, end: from }
    }

    /// What stands before a value, and what follows there.
    #[inline]
    pub fn before(&self, step: Step) -> &[u8] {
        &self.fixed[step.from as usize..]
    }

    /// What stands behind the last value.
    pub fn end(&self) -> &[u8] {
        &self.fixed[self.end..self.fixed.len() - ROOM]
    }
}

/// Whether a place is within an object.
fn holds(object: Place, at: Place) -> bool {
    object == Place::NONE || object < at && at.index() < usize::from(object.node().end)
}

/// The objects that a place is in but for the document itself, outer ones first.
fn ancestors(at: Place) -> Vec<Place> {
    let mut found: Vec<Place> =
        std::iter::successors(Some(at.parent()), |at| Some(at.parent())).take_while(|at| *at != Place::NONE).collect();
    found.reverse();
    found
}

/// How many keys each object has.
fn keys(document: &Document) -> Vec<usize> {
    let mut keys = vec![0; place::COUNT];
    for at in document.places() {
        let mut parent = at.parent();
        keys[parent.index()] += 1;
        // The first one makes the object exist.
        while keys[parent.index()] == 1 && parent != Place::NONE {
            parent = parent.parent();
            keys[parent.index()] += 1;
        }
    }
    for at in document.exact() {
        keys[at.parent().index()] += 1;
    }
    keys
}

/// Places whose exact bytes are written beside them, and the plan.
type Known = (Vec<Place>, Arc<Plan>);

/// The plans of one encoding.
#[derive(Debug, Default)]
pub struct Plans {
    /// By shape, and within it by exact bytes, which hardly any event has.
    known: HashMap<Filled, Vec<Known>>,
    count: usize,
}

impl Plans {
    /// The plan of a document that is finished.
    pub fn of<E: Encoding>(&mut self, document: &Document, encoding: &mut E) -> Arc<Plan> {
        let exact = document.exact();
        let known = self.known.get(document.filled()).and_then(|some| some.iter().find(|(places, _)| places == exact));
        if let Some((_, plan)) = known {
            return Arc::clone(plan);
        }
        if self.count == KEPT {
            *self = Self::default();
        }
        let plan = Arc::new(Plan::of(document, encoding));
        self.known.entry(*document.filled()).or_default().push((exact.to_vec(), Arc::clone(&plan)));
        self.count += 1;
        plan
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::{document, Json, Msgpack};
    use crate::out::Out;

    fn written(content: &Document, plans: &mut [Plans; 2]) -> (String, Vec<u8>) {
        let (mut json, mut msgpack) = (Out::default(), Out::default());
        document(content, &mut plans[0], &mut Json::new(&mut json));
        document(content, &mut plans[1], &mut Msgpack::new(&mut msgpack));
        (String::from_utf8(json.written().to_vec()).unwrap(), msgpack.written().to_vec())
    }

    fn some(name: &[u8], pid: Option<i64>) -> Document {
        let mut content = Document::default();
        let name = content.keep(name);
        content.put(place::PROCESS_NAME, name);
        content.put_static(place::EVENT_ID, "x");
        if let Some(pid) = pid {
            content.put_number(place::PROCESS_PID, pid);
        }
        content.finish();
        content
    }

    #[test]
    fn documents_of_one_shape_differ_in_their_values_only() {
        let mut plans = [Plans::default(), Plans::default()];
        for name in ["a", "a name that is longer than a block", "q\""] {
            let (json, _) = written(&some(name.as_bytes(), Some(7)), &mut plans);
            let name = name.replace('"', "\\\"");
            assert_eq!(json, format!("{{\"event\":{{\"id\":\"x\"}},\"process\":{{\"pid\":7,\"name\":\"{name}\"}}}}"));
        }
        let (json, msgpack) = written(&some(b"a", None), &mut plans);
        assert_eq!(json, "{\"event\":{\"id\":\"x\"},\"process\":{\"name\":\"a\"}}");
        assert_eq!(msgpack, b"\x82\xa5event\x81\xa2id\xa1x\xa7process\x81\xa4name\xa1a");
        assert_eq!(plans[0].known.len(), 2);
    }

    #[test]
    fn exact_bytes_make_a_plan_of_their_own() {
        let mut plans = [Plans::default(), Plans::default()];
        for _ in 0..2 {
            let (json, msgpack) = written(&some(b"\xff", None), &mut plans);
            assert_eq!(json, "{\"event\":{\"id\":\"x\"},\"process\":{\"name\":\"\u{fffd}\",\"name_bytes\":\"/w==\"}}");
            assert!(msgpack.ends_with(b"\xa7process\x82\xa4name\xa3\xef\xbf\xbd\xaaname_bytes\xa4/w=="));
            written(&some(b"a", None), &mut plans);
        }
        assert_eq!((plans[1].known.len(), plans[1].count), (1, 2));
    }

    #[test]
    fn an_empty_document_is_an_empty_object() {
        let mut plans = [Plans::default(), Plans::default()];
        assert_eq!(written(&Document::default(), &mut plans), ("{}".to_owned(), vec![0x80]));
    }

    #[test]
    fn more_shapes_than_are_kept_are_written_all_the_same() {
        let mut plans = [Plans::default(), Plans::default()];
        let places: Vec<Place> = (1..place::COUNT).map(|at| Place(at as u16)).filter(|at| !at.node().object).collect();
        let shapes = places.iter().enumerate().flat_map(|(i, one)| places[..i].iter().map(move |other| (*other, *one)));
        let mut count = 0;
        for (one, other) in shapes.take(KEPT + 9) {
            let mut content = Document::default();
            content.put_number(one, 1);
            content.put_number(other, 2);
            let (json, _) = written(&content, &mut plans);
            assert!(json.contains(":1") && json.contains(":2"), "{json}");
            count += 1;
        }
        assert_eq!((count, plans[0].count), (KEPT + 9, 9));
    }
}
