//! Finds JSON in the text of a dump: scripts print a table before it, append a second value to a first one, or are stopped while they write.

use serde_json::{Deserializer, Value};

/// A value of a text. The elements of a list are values of their own, so that one of them can be invalid.
#[derive(Debug, PartialEq)]
pub(super) struct Part {
    /// The line on which it begins, from 1; of an error, the line of the error.
    pub(super) line: usize,
    /// The value, or why it is invalid.
    pub(super) value: Result<Value, String>,
}

/// The objects and lists of objects that begin at the start of a line, as PowerShell prints them.
pub(super) fn parts(text: &str) -> Vec<Part> {
    let mut reader = Reader { rest: text, line: 1, parts: Vec::new() };
    while reader.find_start() {
        if reader.rest.starts_with('[') {
            reader.read_list();
        } else {
            reader.read_value();
        }
        reader.skip_line();
    }
    reader.parts
}

struct Reader<'a> {
    rest: &'a str,
    /// The line on which the rest begins, from 1.
    line: usize,
    parts: Vec<Part>,
}

impl Reader<'_> {
    /// Goes to the next line that begins an object or a list of objects. A log line that begins with `[12:03]` does not.
    fn find_start(&mut self) -> bool {
        while !self.rest.is_empty() {
            let begins = match self.rest.split_at_checked(1) {
                Some(("{", inside)) => inside.trim_start().starts_with(['"', '}']),
                Some(("[", inside)) => inside.trim_start().starts_with(['{', ']']),
                _ => false,
            };
            if begins {
                return true;
            }
            self.skip_line();
        }
        false
    }

    /// Reads the elements of a list, up to the first that is invalid.
    fn read_list(&mut self) {
        self.advance(1);
        self.skip_blanks();
        while !self.rest.starts_with(']') {
            if !self.read_value() {
                return;
            }
            self.skip_blanks();
            if self.rest.starts_with(',') {
                self.advance(1);
                self.skip_blanks();
            } else if !self.rest.starts_with(']') {
                return self.fail(0, "the list is cut off");
            }
        }
    }

    /// Reads a value. Returns whether it is valid.
    fn read_value(&mut self) -> bool {
        let mut stream = Deserializer::from_str(self.rest).into_iter::<Value>();
        match stream.next() {
            Some(Ok(value)) => {
                let length = stream.byte_offset();
                self.parts.push(Part { line: self.line, value: Ok(value) });
                self.advance(length);
                true
            }
            Some(Err(error)) => {
                // The position is that in the rest.
                let message = error.to_string();
                let reason = message.split_once(" at line ").map_or(message.as_str(), |(reason, _)| reason);
                self.fail(error.line().saturating_sub(1), reason);
                false
            }
            None => {
                self.fail(0, "the list is cut off");
                false
            }
        }
    }

    fn fail(&mut self, lines_further: usize, reason: &str) {
        self.parts.push(Part { line: self.line + lines_further, value: Err(reason.to_owned()) });
    }

    fn skip_blanks(&mut self) {
        self.advance(self.rest.len() - self.rest.trim_start().len());
    }

    fn skip_line(&mut self) {
        self.advance(self.rest.find('\n').map_or(self.rest.len(), |end| end + 1));
    }

    fn advance(&mut self, bytes: usize) {
        let (passed, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.line += passed.matches('\n').count();
        self.rest = rest;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn values(text: &str) -> Vec<(usize, Value)> {
        parts(text).into_iter().map(|part| (part.line, part.value.unwrap())).collect()
    }

    #[test]
    fn json_is_found_behind_tables_and_other_values() {
        let table = "\nName Type     AddressPrefix\n---- ----     -------------\ncbr0 L2Bridge {10.0.0.0/24}\n\n\n";
        assert_eq!(
            values(&format!("{table}[\n    {{\"ID\": 1}},\n    {{}}\n]\n")),
            [(8, json!({"ID": 1})), (9, json!({}))]
        );
        assert_eq!(values("{\"a\": 1}\r\n{\"b\": [2]}\r\n"), [(1, json!({"a": 1})), (2, json!({"b": [2]}))]);
        assert_eq!(values("[12:03] started\n[]\n{ 1 }\n"), []);
    }

    #[test]
    fn a_text_that_is_cut_keeps_what_is_complete() {
        let cut = |line, reason: &str| Part { line, value: Err(reason.to_owned()) };
        let whole = |line| Part { line, value: Ok(json!({"a": 1})) };
        assert_eq!(parts("[\n{\"a\": 1},\n{\"b\""), [whole(2), cut(3, "EOF while parsing an object")]);
        assert_eq!(parts("[\n{\"a\": 1}\n"), [whole(2), cut(3, "the list is cut off")]);
        assert_eq!(parts("[\n{\"a\": 1},\n"), [whole(2), cut(3, "the list is cut off")]);
        assert_eq!(parts("[{\"a\" 1},\n{\"a\": 1}]"), [cut(1, "expected `:`"), whole(2)]);
    }
}
