//! Reads the values of members. HNS and its clients write numbers as texts and texts as numbers, and leave out a member or set it to null.

use serde::Serialize;
use serde_json::Value;

use crate::Guid;

/// A known member whose value has the wrong type, is out of range, or is an unknown name.
#[derive(Debug, Clone, PartialEq)]
pub struct Unreadable {
    /// The names from the document to the member, separated by dots: `PortMappings.Flags`.
    pub member: String,
    /// The value.
    pub value: Value,
}

impl Unreadable {
    /// The same member, seen from the document around it.
    pub(super) fn inside(self, member: &str) -> Self {
        Self { member: format!("{member}.{}", self.member), value: self.value }
    }
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cannot read {} {}", self.member, self.value)
    }
}

/// A value of a known member. Its default is the value of a member that is missing or null.
pub(crate) trait Member: Default + Serialize {
    /// `None` if the value cannot be read. Never called with null.
    fn read(value: &Value) -> Option<Self>;

    /// Whether the member may be left out when it is written.
    fn is_empty(&self) -> bool;

    /// The members inside the value that cannot be read, by their names from here.
    fn unreadable_members(&self) -> Vec<Unreadable> {
        Vec::new()
    }
}

impl Member for String {
    fn read(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    fn is_empty(&self) -> bool {
        self.is_empty()
    }
}

impl Member for bool {
    fn read(value: &Value) -> Option<Self> {
        match value {
            Value::Bool(value) => Some(*value),
            Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
            _ => match u8::read(value)? {
                0 => Some(false),
                1 => Some(true),
                _ => None,
            },
        }
    }

    fn is_empty(&self) -> bool {
        !self
    }
}

macro_rules! numbers {
    ($($number:ty)*) => {
        $(impl Member for $number {
            fn read(value: &Value) -> Option<Self> {
                match value {
                    Value::Number(number) => number.as_u64()?.try_into().ok(),
                    Value::String(text) => text.trim().parse().ok(),
                    _ => None,
                }
            }

            fn is_empty(&self) -> bool {
                *self == 0
            }
        })*
    };
}
numbers! { u8 u16 u32 }

impl Member for Option<Guid> {
    fn read(value: &Value) -> Option<Self> {
        match value.as_str()? {
            "" => Some(None),
            text => text.parse().ok().map(Some),
        }
    }

    fn is_empty(&self) -> bool {
        self.is_none()
    }
}

impl Member for Value {
    fn read(value: &Value) -> Option<Self> {
        Some(value.clone())
    }

    fn is_empty(&self) -> bool {
        self.is_null()
    }
}

impl<T: Member> Member for Vec<T> {
    /// With one unreadable element, the list as a whole is unreadable: without the element, it would be a different list.
    fn read(value: &Value) -> Option<Self> {
        value.as_array()?.iter().map(T::read).collect()
    }

    fn is_empty(&self) -> bool {
        self.is_empty()
    }

    fn unreadable_members(&self) -> Vec<Unreadable> {
        self.iter().flat_map(T::unreadable_members).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_read_from_texts_and_texts_from_numbers() {
        assert_eq!(u16::read(&json!("80")), Some(80));
        assert_eq!(u16::read(&json!(80)), Some(80));
        assert_eq!(String::read(&json!(4096)), Some("4096".to_owned()));
        assert_eq!(bool::read(&json!("True")), Some(true));
        assert_eq!(bool::read(&json!(0)), Some(false));
    }

    #[test]
    fn a_value_out_of_range_or_of_another_kind_cannot_be_read() {
        for value in [json!(65536), json!(-1), json!(1.5), json!(""), json!("x"), json!([80]), json!({}), json!(true)] {
            assert_eq!(u16::read(&value), None, "{value}");
        }
        assert_eq!(String::read(&json!(true)), None);
        assert_eq!(bool::read(&json!(2)), None);
        assert_eq!(Option::<Guid>::read(&json!("x")), None);
        assert_eq!(Vec::<u16>::read(&json!([1, "x"])), None);
    }
}
