//! Safe wrappers of the functions of HNS. They take strings and handles, and return owned strings and handles.
//!
//! The HRESULT alone decides between success and failure. An error record that comes with success is returned in [`Answer::warning`].
#![expect(unsafe_code, reason = "the functions of HNS are foreign")]

use std::ffi::c_void;
use std::ptr::null_mut;

use windows_sys::core::{GUID, HRESULT};

use super::functions::{Create, HNS_CALL, family};
use super::memory::Text;
use super::object::Object;
use super::text::{Wide, record};
use crate::call::Method;
use crate::error::ErrorRecord;
use crate::{Error, Guid, Hresult, Kind};

/// The result of a successful call.
#[derive(Debug)]
pub(super) struct Answer<T> {
    pub(super) value: T,
    /// An error record that HNS returned together with success.
    pub(super) warning: Option<ErrorRecord>,
}

/// `HcnEnumerate…`.
pub(super) fn enumerate(function: &'static str, kind: Kind, query: &str) -> Result<Answer<String>, Error> {
    let enumerate = family(kind).enumerate.get()?;
    let query = Wide::new(function, query)?;
    let query = query.pointer_or_null();
    let (mut ids, mut record) = (Text::empty(), Text::empty());
    let (ids_out, record_out) = (ids.out(), record.out());
    // SAFETY: the signature is checked against the metadata. The query is null or ends with NUL, and outlives the call. Both out
    // parameters are null, outlive the call, and own the strings that HNS stores.
    let code = unsafe { enumerate(query, ids_out, record_out) };
    document_answer(function, finish(function, code, &record)?, &ids)
}

/// `HcnCreate…`. An endpoint needs the open `network` in which it is created. Other kinds ignore `network`.
pub(super) fn create(
    function: &'static str,
    kind: Kind,
    network: Option<&Object>,
    id: Guid,
    settings: &str,
) -> Result<Answer<Object>, Error> {
    let settings = Wide::new(function, settings)?;
    let settings = settings.pointer_or_null();
    let id = guid(id);
    let (mut handle, mut record) = (null_mut::<c_void>(), Text::empty());
    let (handle_out, record_out) = (&raw mut handle, record.out());
    let code = match &family(kind).create {
        Create::Alone(create) => {
            let create = create.get()?;
            // SAFETY: the signature is checked against the metadata, for routes that of the other kinds. The id, the settings (null or
            // ending with NUL) and both out parameters (null) outlive the call. The handle gets its owner below.
            unsafe { create(&raw const id, settings, handle_out, record_out) }
        }
        Create::InNetwork(create) => {
            let network = network.ok_or_else(|| Error::hns(function, Hresult::E_HANDLE))?.raw();
            let create = create.get()?;
            // SAFETY: as above. The network is open, and borrowed during the call.
            unsafe { create(network, &raw const id, settings, handle_out, record_out) }
        }
    };
    let handle = handle_of_success(code, handle);
    // SAFETY: null, or the open handle of the new object. Nothing else closes it.
    let object = unsafe { Object::from_raw(kind, handle) };
    object_answer(function, finish(function, code, &record)?, object)
}

/// `HcnOpen…`.
pub(super) fn open(function: &'static str, kind: Kind, id: Guid) -> Result<Answer<Object>, Error> {
    let open = family(kind).open.get()?;
    let id = guid(id);
    let (mut handle, mut record) = (null_mut::<c_void>(), Text::empty());
    let (handle_out, record_out) = (&raw mut handle, record.out());
    // SAFETY: the signature is checked against the metadata. The id and both out parameters (null) outlive the call. The handle gets
    // its owner below.
    let code = unsafe { open(&raw const id, handle_out, record_out) };
    let handle = handle_of_success(code, handle);
    // SAFETY: null, or an open handle. Nothing else closes it.
    let object = unsafe { Object::from_raw(kind, handle) };
    object_answer(function, finish(function, code, &record)?, object)
}

/// `HcnQuery…Properties`.
pub(super) fn query(function: &'static str, kind: Kind, object: &Object, query: &str) -> Result<Answer<String>, Error> {
    let call = family(kind).query.get()?;
    let query = Wide::new(function, query)?;
    let (handle, query) = (object.raw(), query.pointer_or_null());
    let (mut properties, mut record) = (Text::empty(), Text::empty());
    let (properties_out, record_out) = (properties.out(), record.out());
    // SAFETY: the signature is checked against the metadata. The handle is open, of this kind, and borrowed during the call. The query
    // is null or ends with NUL, and outlives the call. Both out parameters are null, outlive the call, and own the strings that HNS
    // stores.
    let code = unsafe { call(handle, query, properties_out, record_out) };
    document_answer(function, finish(function, code, &record)?, &properties)
}

/// `HcnModify…`.
pub(super) fn modify(function: &'static str, kind: Kind, object: &Object, settings: &str) -> Result<Answer<()>, Error> {
    let modify = family(kind).modify.get()?;
    let settings = Wide::new(function, settings)?;
    let (handle, settings) = (object.raw(), settings.pointer_or_null());
    let mut record = Text::empty();
    let record_out = record.out();
    // SAFETY: the signature is checked against the metadata. The handle is open, of this kind, and borrowed during the call. The
    // settings are null or end with NUL, and outlive the call. The out parameter is null, outlives the call, and owns the string that
    // HNS stores.
    let code = unsafe { modify(handle, settings, record_out) };
    finish(function, code, &record)
}

/// `HcnDelete…`.
pub(super) fn delete(function: &'static str, kind: Kind, id: Guid) -> Result<Answer<()>, Error> {
    let delete = family(kind).delete.get()?;
    let id = guid(id);
    let mut record = Text::empty();
    let record_out = record.out();
    // SAFETY: the signature is checked against the metadata. The id outlives the call. The out parameter is null, outlives the call, and
    // owns the string that HNS stores.
    let code = unsafe { delete(&raw const id, record_out) };
    finish(function, code, &record)
}

/// `HNSCall`.
pub(super) fn hns(function: &'static str, method: Method, path: &str, body: &str) -> Result<Answer<String>, Error> {
    let call = HNS_CALL.get()?;
    let method = Wide::new(function, method.as_str())?;
    let path = Wide::new(function, path)?;
    let body = Wide::new(function, body)?;
    // Other clients pass an empty string, not null. Whether HNSCall takes null is not documented.
    let (method, path, body) = (method.pointer(), path.pointer(), body.pointer());
    let mut response = Text::empty();
    let response_out = response.out();
    // SAFETY: the signature is the one that published clients use. The three strings end with NUL and outlive the call. The out parameter
    // is null, outlives the call, and owns the string that HNS stores.
    let code = unsafe { call(method, path, body, response_out) };
    // HNSCall has no error record: the response of a failure, if any, explains it.
    let code = Hresult(code.cast_unsigned());
    if !code.is_success() {
        return Err(failure(function, code, &response));
    }
    document_answer(function, Answer { value: (), warning: None }, &response)
}

/// The handle of a successful call. A value that a failed call stored is not a handle, and must not be closed.
fn handle_of_success(code: HRESULT, handle: *mut c_void) -> *mut c_void {
    if Hresult(code.cast_unsigned()).is_success() { handle } else { null_mut() }
}

/// Converts the HRESULT of a call.
fn finish(function: &'static str, code: HRESULT, text: &Text) -> Result<Answer<()>, Error> {
    let code = Hresult(code.cast_unsigned());
    if !code.is_success() {
        return Err(failure(function, code, text));
    }
    Ok(Answer { value: (), warning: record(code, text.read().as_deref()) })
}

fn failure(function: &'static str, code: Hresult, text: &Text) -> Error {
    Error::Hns { function, code, record: record(code, text.read().as_deref()) }
}

fn document_answer(function: &'static str, answer: Answer<()>, text: &Text) -> Result<Answer<String>, Error> {
    match text.read() {
        Some(value) => Ok(Answer { value, warning: answer.warning }),
        None => Err(missing_result(function, "document", answer.warning)),
    }
}

fn object_answer(function: &'static str, answer: Answer<()>, object: Option<Object>) -> Result<Answer<Object>, Error> {
    match object {
        Some(value) => Ok(Answer { value, warning: answer.warning }),
        None => Err(missing_result(function, "handle", answer.warning)),
    }
}

/// The error for success without the expected result.
fn missing_result(function: &'static str, what: &str, warning: Option<ErrorRecord>) -> Error {
    let message = warning.map(|record| format!(": {}", record.error.trim_end())).unwrap_or_default();
    Error::Document { function, reason: format!("success without a {what}{message}") }
}

fn guid(id: Guid) -> GUID {
    let (data1, data2, data3, data4) = id.as_fields();
    GUID { data1, data2, data3, data4: *data4 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_layout_of_windows() {
        let id = guid("0be07c06-1234-4abc-8def-000000000001".parse().unwrap());
        assert_eq!((id.data1, id.data2, id.data3), (0x0be0_7c06, 0x1234, 0x4abc));
        assert_eq!(id.data4, [0x8d, 0xef, 0, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn the_code_alone_decides() {
        let nothing = Text::empty();
        assert!(finish("F", 0, &nothing).is_ok());
        assert!(finish("F", 1, &nothing).is_ok());
        let error = finish("F", 0x803b_0013_u32.cast_signed(), &nothing).unwrap_err();
        assert_eq!(error, Error::hns("F", Hresult::HCN_E_PORT_ALREADY_EXISTS));
    }

    #[test]
    fn success_without_a_result_is_an_error_with_the_message_of_hns() {
        let record = ErrorRecord { success: false, error: "Odd. ".into(), error_code: 31 };
        let answer = Answer { value: (), warning: Some(record) };
        let error = document_answer("F", answer, &Text::empty()).unwrap_err();
        assert_eq!(error, Error::Document { function: "F", reason: "success without a document: Odd.".into() });
        assert!(object_answer("F", Answer { value: (), warning: None }, None).is_err());
    }
}
