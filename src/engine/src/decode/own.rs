//! Documents of our own: a line that could not be read, a gap in the serials. And what every document has.

use std::borrow::Cow;

use pyaudit_knowledge::{place, Place};

use super::{Origin, ECS_VERSION, SCHEMA};
use crate::document::Document;
use crate::gaps::Gap;
use crate::lines::Line;
use crate::options::IncludeRaw;
use crate::time::write_rfc3339;

/// The id of the event's host: the machine-id, or a foreign node's name.
pub fn host_id(origin: Origin<'_>) -> Cow<'_, str> {
    origin.foreign.map_or(Cow::Borrowed(&origin.host.id), String::from_utf8_lossy)
}

/// What stands in every document.
pub fn common(document: &mut Document, origin: Origin<'_>) {
    document.put_static(place::ECS_VERSION, ECS_VERSION);
    document.put_static(place::EVENT_MODULE, "auditd");
    document.put_static(place::HOST_OS_TYPE, "linux");
    document.put_static(place::SERVICE_TYPE, "auditd");
    document.put_number(place::AUDITD_SCHEMA, SCHEMA);
    let id = host_id(origin);
    let name = if origin.foreign.is_some() { &*id } else { &origin.host.name };
    let name = document.made(name.as_bytes());
    document.put(place::HOST_NAME, name);
    document.put(place::HOST_HOSTNAME, name);
    document.put_made(place::HOST_ID, id.as_bytes());
    if origin.foreign.is_none() && !origin.host.architecture.is_empty() {
        document.put_made(place::HOST_ARCHITECTURE, origin.host.architecture.as_bytes());
    }
}

fn put_time(document: &mut Document, at: Place, time_ms: i64) {
    let start = document.pool.len();
    write_rfc3339(&mut document.pool, time_ms);
    let text = document.made_since(start);
    document.put(at, text);
}

fn own(document: &mut Document, origin: Origin<'_>, id: &str, time_ms: i64, what: &'static str) {
    common(document, origin);
    document.open_list(place::AUDITD_RECORD_TYPES);
    put_time(document, place::TIMESTAMP, time_ms);
    document.put_made(place::EVENT_ID, id.as_bytes());
    document.put_static(place::EVENT_KIND, "pipeline_error");
    document.put_static(place::EVENT_ACTION, what);
    document.put_static(place::EVENT_OUTCOME, "unknown");
    document.put_static(place::AUDITD_MESSAGE_TYPE, what);
}

/// A line that could not be read, and why.
pub fn unparsed(
    document: &mut Document,
    origin: Origin<'_>,
    id: &str,
    time_ms: i64,
    Line { bytes: raw, cut }: Line<'_>,
    error: &'static str,
) {
    own(document, origin, id, time_ms, "unparsed-line");
    document.put_static(place::AUDITD_ERROR, error);
    if cut {
        let word = document.word("line");
        document.push(place::AUDITD_TRUNCATED, Some(word));
    }
    if origin.include_raw != IncludeRaw::Never {
        let item = document.raw(0, raw.len());
        document.push(place::EVENT_ORIGINAL, Some(item));
    }
    document.finish();
}

/// Serials that did not come.
pub fn gap(document: &mut Document, origin: Origin<'_>, id: &str, gap: &Gap) {
    own(document, origin, id, gap.after_ms, "serial-gap");
    document.put_number(place::AUDITD_GAP_FIRST, i64::from(gap.first));
    document.put_number(place::AUDITD_GAP_LAST, i64::from(gap.last));
    document.put_number(place::AUDITD_GAP_COUNT, i64::from(gap.count()));
    put_time(document, place::AUDITD_GAP_BEFORE, gap.before_ms);
    put_time(document, place::AUDITD_GAP_AFTER, gap.after_ms);
    if gap.unclean {
        document.put_static(place::AUDITD_GAP_CAUSE, "unclean_stop");
    }
    document.finish();
}
