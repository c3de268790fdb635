//! The command line of an event: the arguments of its EXECVE records, joined and in their places.

use pyaudit_knowledge::place;

use super::Decoder;

impl Decoder<'_, '_> {
    /// Joins the arguments and puts them into the document.
    pub(super) fn arguments(&mut self) {
        let mut arguments = std::mem::take(&mut self.arguments);
        if arguments.is_empty() {
            return;
        }
        if let Some(argc) = arguments.argc {
            self.document.put_number(place::PROCESS_ARGS_COUNT, i64::from(argc));
        }
        for (name, value) in arguments.sort() {
            self.rest_at(self.execve_position, name.as_bytes(), value);
        }
        for (name, length) in arguments.lone_lengths() {
            self.rest_at(self.execve_position, name.as_bytes(), length);
        }
        let Some(places) = arguments.places() else {
            self.document.put_static(place::AUDITD_INCOMPLETE, "missing");
            for (name, value) in arguments.raw() {
                self.rest_at(self.execve_position, name.as_bytes(), value);
            }
            return;
        };
        let mut next = 0;
        let mut missing = false;
        self.document.open_list(place::PROCESS_ARGS);
        for argument in arguments.joined() {
            while next < argument.index {
                self.document.push(place::PROCESS_ARGS, None);
                missing = true;
                next += 1;
            }
            let item = if let Some(plain) = argument.plain() {
                self.raw_item(plain)
            } else {
                let start = self.document.pool.len();
                argument.decode(&mut self.document.pool);
                self.document.kept_since(start)
            };
            if argument.cut {
                self.mark_truncated(format!("a{}", argument.index).as_bytes());
            }
            self.document.push(place::PROCESS_ARGS, Some(item));
            next += 1;
        }
        while next < places {
            self.document.push(place::PROCESS_ARGS, None);
            missing = true;
            next += 1;
        }
        if missing {
            self.document.put_static(place::AUDITD_INCOMPLETE, "missing");
        }
        self.command_line();
    }

    /// The arguments joined by one space; a missing one leaves nothing.
    pub(super) fn command_line(&mut self) {
        let args = self.document.list(place::PROCESS_ARGS).to_vec();
        let start = self.document.pool.len();
        for (i, item) in args.iter().flatten().enumerate() {
            if i > 0 {
                self.document.pool.push(b' ');
            }
            self.append(*item);
        }
        let item = self.document.kept_since(start);
        // The exact bytes are beside the arguments already.
        let item = self.document.readable(item);
        self.document.put(place::PROCESS_COMMAND_LINE, item);
    }
}
