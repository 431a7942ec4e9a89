//! What all documents have in common: they are read member by member, and keep unknown and unreadable members.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::member::Unreadable;

/// A document of HNS.
pub trait Document: Serialize + DeserializeOwned {
    /// The members that cannot be read. Each counts as absent, and is written back unchanged.
    fn unreadable_members(&self) -> Vec<Unreadable>;
}

/// Defines a document: each field has the name of its member, and `(always)` if it is written even when it is empty.
macro_rules! document {
    (
        $(#[$meta:meta])*
        pub struct $document:ident {
            $($(#[$member_meta:meta])* $name:literal $(($always:ident))? => $field:ident: $type:ty,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct $document {
            $($(#[$member_meta])* pub $field: $type,)*
            /// Unknown members, and those of `unreadable`, unchanged.
            pub other: $crate::schema::Other,
            /// The names of the known members that cannot be read. Their fields have the value of a missing member.
            pub unreadable: Vec<&'static str>,
        }

        impl $document {
            /// The names of the known members.
            pub const MEMBERS: &'static [&'static str] = &[$($name),*];
        }

        impl $crate::schema::member::Member for $document {
            fn read(value: &serde_json::Value) -> Option<Self> {
                let mut document = Self::default();
                for (name, value) in value.as_object()? {
                    let is_read = match name.as_str() {
                        $($name => match <$type as $crate::schema::member::Member>::read(value) {
                            _ if value.is_null() => true,
                            Some(read) => {
                                document.$field = read;
                                true
                            }
                            None => {
                                document.unreadable.push($name);
                                false
                            }
                        },)*
                        _ => false,
                    };
                    if !is_read {
                        document.other.insert(name.clone(), value.clone());
                    }
                }
                Some(document)
            }

            fn is_empty(&self) -> bool {
                false
            }

            fn unreadable_members(&self) -> Vec<$crate::schema::Unreadable> {
                let own = self.unreadable.iter().map(|name| $crate::schema::Unreadable {
                    member: (*name).to_owned(),
                    value: self.other.get(*name).cloned().unwrap_or_default(),
                });
                #[allow(unused_mut, reason = "not all documents have documents inside")]
                let mut all: Vec<_> = own.collect();
                $(all.extend(
                    $crate::schema::member::Member::unreadable_members(&self.$field)
                        .into_iter()
                        .map(|inside| inside.inside($name)),
                );)*
                all
            }
        }

        impl $crate::schema::Document for $document {
            fn unreadable_members(&self) -> Vec<$crate::schema::Unreadable> {
                $crate::schema::member::Member::unreadable_members(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $document {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let value = <serde_json::Value as serde::Deserialize>::deserialize(deserializer)?;
                let read = <Self as $crate::schema::member::Member>::read(&value);
                read.ok_or_else(|| serde::de::Error::custom($crate::schema::document::not_an_object(&value)))
            }
        }

        impl serde::Serialize for $document {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeMap;
                let mut map = serializer.serialize_map(None)?;
                $(
                    let always = $crate::schema::document::is_always!($($always)?);
                    // A member that cannot be read is in `other`.
                    if (always || !$crate::schema::member::Member::is_empty(&self.$field))
                        && !self.other.contains_key($name)
                    {
                        map.serialize_entry($name, &self.$field)?;
                    }
                )*
                for (name, value) in &self.other {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
        }
    };
}
pub(crate) use document;

macro_rules! is_always {
    (always) => {
        true
    };
    () => {
        false
    };
}
pub(crate) use is_always;

/// The error of a document that is not an object.
pub(crate) fn not_an_object(value: &Value) -> String {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    format!("expected an object, found {kind}")
}
