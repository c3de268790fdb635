//! The file of an event: which PATH record it is, and what it says.

use pyaudit_knowledge::{place, Kind, PathChoice, Place, FILE_TYPES, FILE_TYPE_MASK, PERMISSIONS_MASK};

use super::words::parse;
use super::Decoder;
use crate::document::Text;
use crate::path_object::{Asked, Nametype, PathObject};

/// How good a candidate a PATH record is, by its nametype; the lower the better.
fn rank(path: &PathObject) -> u8 {
    match path.nametype {
        Nametype::Unknown => 1,
        Nametype::Parent => 2,
        _ => 0,
    }
}

impl Decoder<'_, '_> {
    fn bytes(&self, item: Text) -> &[u8] {
        self.document.bytes(item)
    }

    /// The lowest item of those that a test lets through.
    fn lowest(&self, mut test: impl FnMut(&PathObject) -> bool) -> Option<usize> {
        let paths = self.document.paths().iter().enumerate().filter(|(_, path)| test(path));
        paths.min_by_key(|(i, path)| (path.item.unwrap_or(u64::MAX), *i)).map(|(i, _)| i)
    }

    fn object(&self) -> Option<usize> {
        let best = self.document.paths().iter().map(rank).min()?;
        self.lowest(|path| rank(path) == best)
    }

    fn of_type(&self, nametype: Nametype) -> Option<usize> {
        self.lowest(|path| path.nametype == nametype)
    }

    /// The PATH record that is the event's file, and the other one, whatever order they came in.
    fn choose(&self, choice: PathChoice) -> (Option<usize>, Option<usize>) {
        match choice {
            PathChoice::None => (None, None),
            PathChoice::First => (self.lowest(|_| true), None),
            PathChoice::Object => (self.object(), None),
            PathChoice::Second => {
                let first = self.object();
                let after = |path: &PathObject| {
                    let is_first =
                        first.is_some_and(|first| std::ptr::eq(path, &raw const self.document.paths()[first]));
                    rank(path) < 2 && !is_first
                };
                (self.lowest(after).or(first), None)
            }
            PathChoice::Created => {
                let made = self.of_type(Nametype::Create);
                (made.or_else(|| self.object()), made.and_then(|_| self.of_type(Nametype::Normal)))
            }
            PathChoice::Deleted => {
                let removed = self.of_type(Nametype::Delete);
                (removed.or_else(|| self.object()), removed.and_then(|_| self.of_type(Nametype::Create)))
            }
        }
    }

    /// Fills `file.*`; gives the type of the file, as its mode has it.
    pub(super) fn file(&mut self, choice: PathChoice) -> Option<&'static str> {
        let (chosen, other) = self.choose(choice);
        if let Some(name) = other.and_then(|index| self.document.paths()[index].value(Asked::Name)) {
            let path = self.full_path(name);
            self.document.put(place::FILE_TARGET_PATH, path);
        }
        let path = &self.document.paths()[chosen?];
        let name = path.value(Asked::Name);
        let copies: [(Place, Option<Text>); 6] = [
            (place::FILE_DEVICE, path.value(Asked::Device)),
            (place::FILE_INODE, path.value(Asked::Inode)),
            (place::FILE_UID, path.value(Asked::User)),
            (place::FILE_GID, path.value(Asked::Group)),
            (place::FILE_OWNER, path.value(Asked::UserName)),
            (place::FILE_GROUP, path.value(Asked::GroupName)),
        ];
        let mode = path.value(Asked::Mode).and_then(|item| parse(pyaudit_knowledge::Base::Octal, self.bytes(item)));
        for (at, item) in copies {
            if let Some(item) = item {
                self.document.put(at, item);
            }
        }
        if let Some(name) = name {
            self.file_name(name);
        }
        let mode = mode?;
        let start = self.document.pool.len();
        let digits = [9, 6, 3, 0].map(|shift| b'0' + ((mode & PERMISSIONS_MASK) >> shift & 7) as u8);
        self.document.pool.extend_from_slice(&digits);
        let text = self.document.made_since(start);
        self.document.put(place::FILE_MODE, text);
        FILE_TYPES.iter().find(|(bits, ..)| *bits == mode & FILE_TYPE_MASK).map(|(_, _, name)| *name)
    }

    fn file_name(&mut self, name: Text) {
        if self.bytes(name).is_empty() {
            // The file was given by its descriptor (AT_EMPTY_PATH).
            return;
        }
        let path = self.full_path(name);
        self.document.put(place::FILE_PATH, path);
        // The exact bytes are beside the path.
        let path = self.document.readable(path);
        let bytes = self.bytes(path);
        let base = bytes.iter().rposition(|&b| b == b'/').map_or(0, |slash| slash + 1);
        let dot = bytes[base..].iter().rposition(|&b| b == b'.').filter(|&dot| dot > 0).map(|dot| base + dot + 1);
        let length = bytes.len();
        if base < length {
            self.document.put(place::FILE_NAME, path.tail(base));
        }
        if let Some(dot) = dot.filter(|&dot| dot < length) {
            self.document.put(place::FILE_EXTENSION, path.tail(dot));
        }
    }

    /// A name as an absolute path without detours: a rule on a path must see through `../etc/shadow`. Links in between
    /// may lead elsewhere; `auditd.paths` has the name as it was given.
    fn full_path(&mut self, name: Text) -> Text {
        let bytes = self.bytes(name);
        let absolute = bytes.starts_with(b"/");
        if absolute && !has_detour(bytes) || is_no_path(bytes) {
            return name;
        }
        let start = self.document.pool.len();
        if !absolute {
            let Some(cwd) = self.text(place::PROCESS_WORKING_DIRECTORY) else { return name };
            if !self.bytes(cwd).starts_with(b"/") || !self.is_relative_to_cwd() {
                return name;
            }
            self.append(cwd);
            self.document.pool.push(b'/');
        }
        self.append(name);
        let end = without_detours(&mut self.document.pool[start..]);
        self.document.pool.truncate(start + end);
        self.document.kept_since(start)
    }

    /// Whether relative names start at the working directory: not if the syscall was given another one, and not the
    /// names of message queues.
    fn is_relative_to_cwd(&self) -> bool {
        let Some(call) = self.call else { return true };
        // fsconfig() was given its directory in an argument that no record has, on 32-bit machines fanotify_mark() too.
        let unknown = match call.name {
            "fsconfig" => true,
            "fanotify_mark" => !self.arch.is_some_and(pyaudit_knowledge::Arch::is_64_bit),
            name => name.starts_with("mq_"),
        };
        if unknown {
            return false;
        }
        let directories = call.arguments.iter().filter(|argument| match argument.kind {
            Kind::Values(values) => values.name == "dirfd",
            _ => false,
        });
        let decoded =
            [place::AUDITD_DECODED_A0, place::AUDITD_DECODED_A1, place::AUDITD_DECODED_A2, place::AUDITD_DECODED_A3];
        let at_cwd = |at: Place| {
            let words = self.document.list(at);
            words.iter().flatten().any(|item| self.document.is_one_of(*item, &["AT_FDCWD"]))
        };
        directories.into_iter().all(|argument| at_cwd(decoded[usize::from(argument.index)]))
    }
}

/// Names of things that are in no directory: `pipe:[123]`, `socket:[456]`, `anon_inode:[eventpoll]`; the empty name.
fn is_no_path(name: &[u8]) -> bool {
    name.is_empty() || name.ends_with(b"]") && name.windows(2).any(|pair| pair == b":[")
}

/// Whether a path holds an empty part, `.` or `..`, or ends with `/`.
fn has_detour(path: &[u8]) -> bool {
    let parts = path.strip_prefix(b"/").unwrap_or(path);
    !parts.is_empty() && parts.split(|&b| b == b'/').any(|part| matches!(part, b"" | b"." | b".."))
}

/// Takes empty parts, `.` and `..` out of an absolute path, in place; gives the new length.
fn without_detours(path: &mut [u8]) -> usize {
    let (mut read, mut write) = (0, 0);
    while read < path.len() {
        let end = path[read..].iter().position(|&b| b == b'/').map_or(path.len(), |slash| read + slash);
        match &path[read..end] {
            b"" | b"." => {}
            b".." => write = path[..write].iter().rposition(|&b| b == b'/').unwrap_or(0),
            _ => {
                path[write] = b'/';
                path.copy_within(read..end, write + 1);
                write += 1 + end - read;
            }
        }
        read = end + 1;
    }
    if write == 0 {
        path[0] = b'/';
        return 1;
    }
    write
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detours_are_taken_out() {
        for (path, plain) in [
            ("/tmp/../etc/shadow", "/etc/shadow"),
            ("/a//b/./c/", "/a/b/c"),
            ("/../..", "/"),
            ("/..a/.b", "/..a/.b"),
            ("/", "/"),
            ("/a/b/../../c", "/c"),
        ] {
            let mut bytes = path.as_bytes().to_vec();
            let length = without_detours(&mut bytes);
            assert_eq!(std::str::from_utf8(&bytes[..length]).unwrap(), plain);
        }
        assert!(has_detour(b"/tmp/../etc") && has_detour(b"/a//b") && has_detour(b"/."));
        assert!(!has_detour(b"/etc/passwd") && !has_detour(b"/") && has_detour(b"/etc/"));
    }

    #[test]
    fn things_without_a_directory() {
        assert!(is_no_path(b"pipe:[123]") && is_no_path(b"") && is_no_path(b"anon_inode:[eventpoll]"));
        assert!(!is_no_path(b"a]") && !is_no_path(b"x"));
    }
}
