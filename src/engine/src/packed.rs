//! Frames as bytes, and back: what a spool keeps.
//!
//! A block of LZ4 after the length of what is in it (32 bits). Compressing costs a tenth of what it saves in writing,
//! and a spool holds several times as much. In it, one entry a frame, little-endian, without padding:
//!
//! | bytes | what |
//! |---|---|
//! | 4 | length of what follows |
//! | 8, 8, 8, 4 | sequence, time in ms since 1970 (signed), routes, records |
//! | 1 | flags: 1 keep, 2 has a session, 4 has JSON, 8 has msgpack |
//! | 2, 2, 2, 2, 4, 4 | lengths of id, host, session, category, JSON, msgpack |
//! | … | these, in this order; JSON without a newline |
//!
//! Whoever stores entries protects them with a checksum. `unpack` still believes nothing: any bytes give frames or an
//! error.

use std::collections::HashMap;

use crate::frames::{Frames, NewHead};

const KEEP: u8 = 1;
const SESSION: u8 = 2;
const JSON: u8 = 4;
const MSGPACK: u8 = 8;
const FIXED: usize = 8 + 8 + 8 + 4 + 1 + 4 * 2 + 2 * 4;

/// What is packed is some 256 KiB, or one event, of at most some hundred MiB; a length past this is none.
const MAX_BYTES: usize = 1 << 30;

/// Frames of a class, packed, and what a reader wants to know before it unpacks them.
#[derive(Debug, Default)]
pub struct Packed {
    pub bytes: Vec<u8>,
    pub count: usize,
    /// How many have which routes.
    pub routes: HashMap<u64, usize>,
    /// Earliest and latest time, in ms since 1970.
    pub span: Option<(i64, i64)>,
}

/// Packs the frames that outlive others when something has to be dropped, or those that do not. A text longer than
/// 65,535 bytes is cut: ids and names of hosts are not.
pub fn pack(frames: &Frames, keep: bool) -> Packed {
    let mut packed = Packed::default();
    let mut entries = Vec::new();
    for frame in (0..frames.len()).filter_map(|index| frames.get(index)).filter(|frame| frame.keep == keep) {
        if packed.count == 0 {
            entries.reserve(frames.size());
        }
        packed.count += 1;
        *packed.routes.entry(frame.routes).or_default() += 1;
        let (first, last) = packed.span.unwrap_or((frame.time_ms, frame.time_ms));
        packed.span = Some((first.min(frame.time_ms), last.max(frame.time_ms)));
        let out = &mut entries;
        let session = frame.session.unwrap_or_default();
        let texts = [frame.id, frame.host, session, frame.category].map(cut);
        let documents = [frame.json, frame.msgpack].map(Option::unwrap_or_default);
        let flag = |is: bool, bit: u8| if is { bit } else { 0 };
        let length =
            FIXED + texts.iter().map(|text| text.len()).sum::<usize>() + documents[0].len() + documents[1].len();
        out.extend_from_slice(&(length as u32).to_le_bytes());
        out.extend_from_slice(&frame.sequence.to_le_bytes());
        out.extend_from_slice(&frame.time_ms.to_le_bytes());
        out.extend_from_slice(&frame.routes.to_le_bytes());
        out.extend_from_slice(&frame.records.to_le_bytes());
        out.push(
            flag(frame.keep, KEEP)
                | flag(frame.session.is_some(), SESSION)
                | flag(frame.json.is_some(), JSON)
                | flag(frame.msgpack.is_some(), MSGPACK),
        );
        for text in texts {
            out.extend_from_slice(&(text.len() as u16).to_le_bytes());
        }
        for document in documents {
            out.extend_from_slice(&(document.len() as u32).to_le_bytes());
        }
        for text in texts {
            out.extend_from_slice(text.as_bytes());
        }
        for document in documents {
            out.extend_from_slice(document);
        }
    }
    if packed.count > 0 {
        packed.bytes = lz4_flex::compress_prepend_size(&entries);
    }
    packed
}

fn cut(text: &str) -> &str {
    let mut end = text.len().min(usize::from(u16::MAX));
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Takes a number off the front.
macro_rules! number {
    ($bytes:expr, $kind:ty) => {{
        let (front, rest) = $bytes.split_first_chunk::<{ size_of::<$kind>() }>().ok_or("an entry ends early")?;
        $bytes = rest;
        <$kind>::from_le_bytes(*front)
    }};
}

/// Unpacks entries of several packings into one batch, in the order of their sequences.
///
/// # Errors
/// Bytes that no `pack` gave; says what is wrong.
pub fn unpack(packed: &[&[u8]]) -> Result<Frames, String> {
    let blocks = packed.iter().map(|block| inflate(block)).collect::<Result<Vec<_>, _>>()?;
    let mut entries = Vec::new();
    for mut bytes in blocks.iter().map(|block| &block[..]) {
        while !bytes.is_empty() {
            let length = number!(bytes, u32) as usize;
            let (entry, rest) = bytes.split_at_checked(length).ok_or("an entry ends early")?;
            if length < FIXED {
                return Err("an entry is too short".into());
            }
            let sequence = entry.first_chunk::<8>().ok_or("an entry ends early")?;
            entries.push((u64::from_le_bytes(*sequence), entry));
            bytes = rest;
        }
    }
    if packed.len() > 1 {
        entries.sort_by_key(|&(sequence, _)| sequence);
    }
    let flags = |entry: &[u8]| entry.get(28).copied().unwrap_or_default();
    let common = entries.iter().fold(JSON | MSGPACK, |common, (_, entry)| common & flags(entry));
    let mut frames = Frames::new(common & JSON != 0, common & MSGPACK != 0);
    for (sequence, entry) in entries {
        take(entry, sequence, &mut frames)?;
    }
    Ok(frames)
}

fn inflate(mut block: &[u8]) -> Result<Vec<u8>, String> {
    let length = number!(block, u32) as usize;
    // LZ4 makes at most 255 bytes of one: a length that cannot be costs no memory.
    if length > MAX_BYTES.min(block.len().saturating_mul(255)) {
        return Err("the frames cannot be that long".into());
    }
    let entries = lz4_flex::decompress(block, length).map_err(|error| format!("LZ4: {error}"))?;
    if entries.len() == length {
        Ok(entries)
    } else {
        Err("the frames are not as long as they should be".into())
    }
}

fn take(entry: &[u8], sequence: u64, frames: &mut Frames) -> Result<(), String> {
    let mut rest = &entry[8..];
    let (time_ms, routes, records) = (number!(rest, i64), number!(rest, u64), number!(rest, u32));
    let flags = number!(rest, u8);
    let lengths = [number!(rest, u16), number!(rest, u16), number!(rest, u16), number!(rest, u16)];
    let (json, msgpack) = (number!(rest, u32) as usize, number!(rest, u32) as usize);
    let mut texts = [""; 4];
    for (text, length) in texts.iter_mut().zip(lengths) {
        let (bytes, behind) = rest.split_at_checked(usize::from(length)).ok_or("a text ends early")?;
        *text = std::str::from_utf8(bytes).map_err(|_| "a text is not UTF-8")?;
        rest = behind;
    }
    if rest.len() != json + msgpack {
        return Err("the documents are not as long as they should be".into());
    }
    let (json, msgpack) = rest.split_at(json);
    if let Some(out) = frames.json_out() {
        out.extend_from_slice(json);
        out.push(b'\n');
    }
    if let Some(out) = frames.msgpack_out() {
        out.extend_from_slice(msgpack);
    }
    let [id, host, session, category] = texts;
    let session = (flags & SESSION != 0).then_some(session);
    frames.push(&NewHead { id, host, session, category, time_ms, keep: flags & KEEP != 0, records, routes });
    frames.number_last(sequence);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(json: bool, msgpack: bool) -> Frames {
        let mut frames = Frames::new(json, msgpack);
        for (id, keep) in [("a", false), ("b", true), ("c", false)] {
            if let Some(out) = frames.json_out() {
                out.extend_from_slice(format!("{{\"{id}\":1}}\n").as_bytes());
            }
            if let Some(out) = frames.msgpack_out() {
                out.extend_from_slice(id.as_bytes());
            }
            let session = keep.then_some("7");
            let head =
                NewHead { id, host: "hö", session, category: "file", time_ms: -5, keep, records: 3, routes: 1 << 63 };
            frames.push(&head);
        }
        Frames::joined(&[&frames], 41)
    }

    fn shown(frames: &Frames) -> Vec<String> {
        (0..frames.len()).map(|index| format!("{:?}", frames.get(index).unwrap())).collect()
    }

    #[test]
    fn what_is_packed_comes_back() {
        for (json, msgpack) in [(true, true), (true, false), (false, true)] {
            let frames = batch(json, msgpack).of_class(false);
            assert_eq!(shown(&unpack(&[&pack(&frames, false).bytes]).unwrap()), shown(&frames));
        }
    }

    #[test]
    fn classes_are_put_together_in_order() {
        let frames = batch(true, false);
        let (keep, normal) = (pack(&frames, true), pack(&frames, false));
        assert_eq!((keep.count, normal.count), (1, 2));
        assert_eq!(normal.routes, HashMap::from([(1 << 63, 2)]));
        assert_eq!(normal.span, Some((-5, -5)));
        let (keep, normal) = (keep.bytes, normal.bytes);
        assert_eq!(shown(&unpack(&[&keep, &normal]).unwrap()), shown(&frames));
        assert_eq!(unpack(&[&keep]).unwrap().get(0).unwrap().id, "b");
        assert_eq!(unpack(&[]).unwrap().len(), 0);
    }

    #[test]
    fn damaged_bytes_give_an_error_or_frames_and_never_a_panic() {
        let packed = pack(&batch(true, true), false).bytes;
        for at in 0..packed.len() {
            let _ = unpack(&[&packed[..at]]);
            for bit in 0..8 {
                let mut damaged = packed.clone();
                damaged[at] ^= 1 << bit;
                let _ = unpack(&[&damaged]);
            }
        }
        assert!(unpack(&[&packed[..packed.len() - 1]]).is_err());
        assert!(unpack(&[b"\xff\xff\xff\x3fx"]).is_err_and(|why| why.contains("cannot be that long")));
    }
}
