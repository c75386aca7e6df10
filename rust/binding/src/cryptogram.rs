//! The pure function behind `medsettle.cryptogram`.

use medsettle_cryptogram::{
    Cryptogram, Derivation, MasterKey, Pan, Request, Scheme, SequenceNumber, Verdict, Verifier,
};
use medsettle_wire::{Reason, Refused};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors::{rejected, value_error};

/// Check a cryptogram and answer it, by method 1 when there is an `arc` and by method 2 when there is a `csu`.
#[expect(clippy::too_many_arguments, reason = "these are the fields that a chip and its issuer bring together")]
#[pyfunction]
pub(crate) fn cryptogram_answer<'py>(
    py: Python<'py>,
    scheme: &str,
    derivation: Option<&str>,
    issuer_key: &[u8],
    pan: &str,
    sequence_number: i64,
    atc: i64,
    data: &[u8],
    cryptogram: &[u8],
    arc: Option<&[u8]>,
    csu: Option<&[u8]>,
    auth_data: Option<&[u8]>,
) -> PyResult<Bound<'py, PyBytes>> {
    let scheme = named_scheme(scheme).map_err(value_error)?;
    let key = MasterKey::new(exactly("issuer_key", issuer_key)?);
    let sequence_number = u8::try_from(sequence_number)
        .ok()
        .and_then(|number| SequenceNumber::new(number).ok())
        .ok_or_else(|| value_error(format!("a PAN sequence number is 0 to 99, this is {sequence_number}")))?;
    let request = Request {
        scheme,
        derivation: named_derivation(scheme, derivation).map_err(value_error)?,
        key: &key,
        pan: Pan::new(pan).map_err(value_error)?,
        sequence_number,
        atc: u16::try_from(atc)
            .map_err(|_| value_error(format!("a transaction counter is 0 to 65535, this is {atc}")))?,
        data,
        cryptogram: Cryptogram(exactly("cryptogram", cryptogram)?),
    };
    let method = match (arc, csu) {
        (Some(arc), None) => Method::One(exactly("arc", arc)?),
        (None, Some(csu)) => Method::Two(exactly("csu", csu)?, auth_data.unwrap_or_default()),
        _ => return Err(value_error("give arc for method 1, or csu for method 2")),
    };

    let mut verdicts = Vec::with_capacity(2);
    // Which option an issuer took for long card numbers is not on the card; whoever does not name it is asking for both.
    let other_option = Request { derivation: Derivation::OptionA, ..request };
    let both = derivation.is_none() && scheme == Scheme::EmvCskTdes;
    let requests = [request, other_option];
    Verifier::new().verify(if both { &requests } else { &requests[..1] }, method.arc(), &mut verdicts);
    let valid = verdicts.into_iter().find_map(|verdict| match verdict {
        Verdict::Valid(session) => Some(session),
        Verdict::Invalid => None,
    });
    let session = valid.ok_or_else(|| rejected(&Refused::new(Reason::CryptogramInvalid)))?;
    match method {
        Method::One(_) => Ok(PyBytes::new(py, &session.arpc_method_1())),
        Method::Two(csu, auth_data) => {
            session.arpc_method_2(csu, auth_data).map(|arpc| PyBytes::new(py, &arpc)).map_err(value_error)
        }
    }
}

/// How the issuer answers.
enum Method<'a> {
    /// Over a response code.
    One([u8; 2]),
    /// Over a card status update and data of the issuer's own.
    Two([u8; 4], &'a [u8]),
}

impl Method<'_> {
    /// The response code, which method 2 has none of.
    fn arc(&self) -> [u8; 2] {
        match self {
            Self::One(arc) => *arc,
            Self::Two(..) => [0; 2],
        }
    }
}

pub(crate) fn named_scheme(name: &str) -> Result<Scheme, String> {
    Scheme::from_name(name).ok_or_else(|| {
        let known = Scheme::ALL.map(Scheme::name).join(", ");
        format!("unknown scheme {name:?}; known are {known}")
    })
}

/// The derivation of that name; none is the scheme's default, and only `EMV_CSK_TDES` takes a name.
pub(crate) fn named_derivation(scheme: Scheme, name: Option<&str>) -> Result<Derivation, String> {
    let Some(name) = name else {
        return Ok(Derivation::default());
    };
    if scheme != Scheme::EmvCskTdes {
        return Err(format!("{} knows no choice of derivation", scheme.name()));
    }
    Derivation::from_name(name).ok_or_else(|| {
        let known = Derivation::ALL.map(Derivation::name).join(", ");
        format!("unknown derivation {name:?}; known are {known}")
    })
}

/// Take an argument of a fixed length.
fn exactly<const LENGTH: usize>(name: &str, bytes: &[u8]) -> PyResult<[u8; LENGTH]> {
    bytes.try_into().map_err(|_| value_error(format!("{name} has {LENGTH} bytes, this has {}", bytes.len())))
}
