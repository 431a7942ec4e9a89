//! Enumerations and bit sets. Microsoft's schema document lists their names; HNS writes numbers. Unknown numbers are kept.

use serde_json::Value;

/// The names of an enumeration, with their numbers.
pub type Names = &'static [(&'static str, u32)];

/// Reads a number, or a name in any case.
pub(crate) fn one(value: &Value, names: Names) -> Option<u32> {
    match value {
        Value::Number(number) => number.as_u64()?.try_into().ok(),
        Value::String(text) => {
            let text = text.trim();
            let named = names.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
            named.map(|(_, number)| *number).or_else(|| text.parse().ok())
        }
        _ => None,
    }
}

/// Reads the bits of a bit set: a number, or names. PowerShell separates the names of a bit set by commas; a list has one element for each.
pub(crate) fn bits(value: &Value, names: Names) -> Option<u32> {
    match value {
        Value::String(text) => {
            let parts = text.split([',', '|']).map(str::trim).filter(|part| !part.is_empty());
            all(parts.map(|part| one(&part.into(), names)))
        }
        Value::Array(list) => all(list.iter().map(|part| one(part, names))),
        _ => one(value, names),
    }
}

fn all(mut bits: impl Iterator<Item = Option<u32>>) -> Option<u32> {
    bits.try_fold(0, |sum, part| Some(sum | part?))
}

/// Defines a bit set. Unknown bits are kept.
macro_rules! flags {
    (
        $(#[$meta:meta])* $set:ident {
            $($(#[$bit_meta:meta])* $bit:ident = $value:literal: $($name:literal),*;)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize)]
        #[serde(transparent)]
        pub struct $set(pub u32);

        impl $set {
            /// No bit set.
            pub const NONE: Self = Self(0);
            $($(#[$bit_meta])* pub const $bit: Self = Self($value);)*

            /// The names of the bits.
            pub const NAMES: $crate::schema::enumeration::Names = &[("None", 0), $($(($name, $value),)*)*];

            /// Whether no bit is set.
            pub fn is_empty(&self) -> bool {
                self.0 == 0
            }

            /// Whether all bits of `other` are set.
            pub fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// These bits and, if `condition` holds, those of `other`.
            #[must_use]
            pub fn with(self, other: Self, condition: bool) -> Self {
                if condition { Self(self.0 | other.0) } else { self }
            }

            /// Only those bits that `mask` has too.
            #[must_use]
            pub fn masked(self, mask: Self) -> Self {
                Self(self.0 & mask.0)
            }
        }

        impl std::ops::BitOr for $set {
            type Output = Self;
            fn bitor(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
        }

        impl std::fmt::Debug for $set {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let mut rest = self.0;
                let mut names: Vec<String> = Vec::new();
                $(if rest & $value == $value { names.push(stringify!($bit).to_owned()); rest &= !$value; })*
                if rest != 0 || names.is_empty() { names.push(format!("{rest}")); }
                f.write_str(&names.join("|"))
            }
        }

        impl $crate::schema::member::Member for $set {
            fn read(value: &serde_json::Value) -> Option<Self> {
                $crate::schema::enumeration::bits(value, Self::NAMES).map(Self)
            }

            fn is_empty(&self) -> bool {
                self.0 == 0
            }
        }
    };
}
pub(crate) use flags;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SOME: Names = &[("None", 0), ("One", 1), ("Two", 2)];

    #[test]
    fn bits_are_read_from_numbers_and_names() {
        for three in [json!(3), json!("3"), json!("One, two"), json!("ONE|2"), json!(["One", "Two"]), json!([1, "2"])] {
            assert_eq!(bits(&three, SOME), Some(3), "{three}");
        }
        assert_eq!(bits(&json!("None"), SOME), Some(0));
        for unknown in [json!("Three"), json!("One, Three"), json!(-1), json!(true), json!([["One"]]), json!({})] {
            assert_eq!(bits(&unknown, SOME), None, "{unknown}");
        }
    }

    #[test]
    fn one_value_is_not_a_combination() {
        assert_eq!(one(&json!("two"), SOME), Some(2));
        assert_eq!(one(&json!("One, Two"), SOME), None);
        assert_eq!(one(&json!(["One"]), SOME), None);
    }
}
