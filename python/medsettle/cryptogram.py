"""Check a card's cryptogram and answer it, without a hub: the engine's own code as a pure function."""

from typing import overload

from medsettle import _core


@overload
def answer(
    scheme: str,
    issuer_key: bytes,
    pan: str,
    sequence_number: int,
    atc: int,
    data: bytes,
    cryptogram: bytes,
    *,
    arc: bytes,
    derivation: str | None = None,
) -> bytes: ...


@overload
def answer(
    scheme: str,
    issuer_key: bytes,
    pan: str,
    sequence_number: int,
    atc: int,
    data: bytes,
    cryptogram: bytes,
    *,
    csu: bytes,
    auth_data: bytes = b"",
    derivation: str | None = None,
) -> bytes: ...


def answer(
    scheme: str,
    issuer_key: bytes,
    pan: str,
    sequence_number: int,
    atc: int,
    data: bytes,
    cryptogram: bytes,
    *,
    arc: bytes | None = None,
    csu: bytes | None = None,
    auth_data: bytes = b"",
    derivation: str | None = None,
) -> bytes:
    """Return the response cryptogram (ARPC) for a right cryptogram.

    `scheme` is a name of `Chip.Scheme`; `issuer_key` the 16 bytes of the issuer master key; `data` the bytes that the
    chip signed. Method 1 takes the response code `arc` (2 bytes) and returns 8 bytes; method 2 takes the card status
    update `csu` (4 bytes) with up to 8 bytes of `auth_data` and returns 4. `derivation` names how an issuer
    derives EMV_CSK_TDES card keys from numbers over 16 digits, BY_PAN_LENGTH or OPTION_A; without it either is right.
    (The engine takes it from the key ring, and tries nothing else.)

    Raises Rejected(CRYPTOGRAM_INVALID) when the cryptogram is wrong, ValueError when an argument is malformed.
    Sources: EMV 4.4 Book 2 sections 8.1 and 8.2, JR/T 0025.7, JR/T 0025.17.
    """
    if (arc is None) == (csu is None):
        raise ValueError("give arc for method 1, or csu for method 2")
    return _core.cryptogram_answer(
        scheme,
        derivation,
        issuer_key,
        pan,
        sequence_number,
        atc,
        data,
        cryptogram,
        arc,
        csu,
        None if csu is None else auth_data,
    )
