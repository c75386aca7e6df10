"""The chip of a social-security card and the issuer of electronic credentials, in software, for demo, tests and load.

Owns the card's side of a presentation: its keys, its counter, the application cryptogram and the check of the answer.
Invariant: written from the published rules alone and never from the engine, so that the two prove each other.
Invariant: a counter value is used for one cryptogram only; a card whose counter is exhausted signs no more.
Leaves out card states, PINs and the offline purse: the hub knows the first two, and no settlement touches the third.
"""

import base64
import hashlib
import hmac
import json
import random
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Literal

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers import BlockCipherAlgorithm, Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES, SM4
from cryptography.hazmat.primitives.cmac import CMAC

CVR_PIN_VERIFIED = bytes.fromhex("03A40000")
"""Card verification results of an online request after the chip compared a PIN and found it right."""
CVR_NO_PIN = bytes.fromhex("03A00000")
"""Card verification results of an online request in which the chip compared no PIN."""
ADMISSION_TYPE = 0x31
"""Transaction type (9C) of an admission, whose two amounts are zero."""

_ATC_LIMIT = 0xFFFF

Derivation = Literal["EMV_A", "EMV_B"]


class Scheme(StrEnum):
    """The cryptogram schemes by the names of the contract's `Chip.Scheme`."""

    PBOC_SM4 = "PBOC_SM4"
    PBOC_TDES = "PBOC_TDES"
    EMV_CSK_TDES = "EMV_CSK_TDES"
    EMV_AES = "EMV_AES"


class TokenIssuer:
    """Who issues tokens that stand for a card: the server behind an app.

    A token is a JSON web signature by Ed25519 with the claims that the contract's `ElectronicCredential` names.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._key = Ed25519PrivateKey.generate()

    @property
    def public_key(self) -> bytes:
        """Its public key, 32 bytes, for the key ring."""
        return self._key.public_key().public_bytes_raw()

    def token(self, card_sn: str, institution: str, issued_s: int, lives_s: int = 120) -> bytes:
        """Issue a token for a card at one institution, from a second since 1970 on."""
        header = {"alg": "EdDSA", "kid": self.name, "typ": "JWT"}
        claims = {
            "jti": secrets.token_hex(16),
            "sub": card_sn,
            "aud": institution,
            "iat": issued_s,
            "exp": issued_s + lives_s,
        }
        signed = b".".join(_base64url(json.dumps(part).encode()) for part in (header, claims))
        return signed + b"." + _base64url(self._key.sign(signed))


class CounterExhausted(Exception):
    """The card has used its last counter value and must be replaced."""


@dataclass(frozen=True, slots=True)
class Signature:
    """What the chip and its terminal present; the fields are those of the contract's `Chip`.

    `transaction_date` is ISO and signed as YYMMDD; `currency` and `terminal_country` are ISO numbers;
    `transaction_type` is the byte itself, whose two digits are BCD.
    """

    pan: str
    sequence_number: int
    card_sn: str
    scheme: Scheme
    key_index: int
    atc: int
    amount_fen: int
    other_amount_fen: int
    terminal_country: int
    tvr: bytes
    currency: int
    transaction_date: str
    transaction_type: int
    unpredictable_number: bytes
    aip: bytes
    cvr: bytes
    cryptogram: bytes


class SoftCard:
    """One chip, which derives its keys from the issuer's and counts its transactions.

    `issuer_key` is the issuer master key, 16 bytes; the card keeps only what it derives. `card_sn` is 32 hexadecimal
    digits. `derivation` chooses EMV option A or B for EMV_CSK_TDES, which by default takes A up to 16 PAN digits and B
    beyond; the other schemes have one rule each. `atc` is the counter value that was used last. Raises ValueError for a
    field that no card can carry.
    """

    def __init__(
        self,
        scheme: Scheme | str,
        issuer_key: bytes,
        pan: str,
        sequence_number: int,
        card_sn: str,
        key_index: int,
        derivation: Derivation | None = None,
        *,
        atc: int = 0,
    ) -> None:
        if len(issuer_key) != 16:
            raise ValueError("an issuer master key has 16 bytes")
        if not re.fullmatch(r"[0-9]{12,19}", pan):
            raise ValueError("a PAN has 12 to 19 decimal digits")
        if not re.fullmatch(r"[0-9A-F]{32}", card_sn):
            raise ValueError("a card serial has 32 hexadecimal digits")
        if not 0 <= atc <= _ATC_LIMIT:
            raise ValueError("the counter has two bytes")
        self.scheme = Scheme(scheme)
        if derivation and self.scheme is not Scheme.EMV_CSK_TDES:
            raise ValueError(f"{self.scheme} leaves no choice of derivation")
        self.pan = pan
        self.sequence_number = sequence_number
        self.card_sn = card_sn
        self.key_index = key_index
        self.atc = atc
        self._rules = _RULES[self.scheme]
        digits = pan + _bcd(sequence_number, 1).hex()
        self._card_key = _card_key(self.scheme, issuer_key, digits, derivation or "EMV_B")

    def sign(
        self,
        amount_fen: int,
        other_amount_fen: int,
        transaction_date: date,
        transaction_type: int,
        *,
        unpredictable_number: bytes | None = None,
        rng: random.Random | None = None,
        terminal_country: int = 156,
        currency: int = 156,
        tvr: bytes = bytes(5),
        aip: bytes = b"\x7c\x00",
        cvr: bytes = CVR_PIN_VERIFIED,
    ) -> Signature:
        """Advance the counter and sign one transaction.

        At settlement the amount is the bill's total and the other amount what is drawn from personal accounts. The
        terminal's unpredictable number (4 bytes) is the one given, else drawn from `rng`, else from the system. An
        empty `cvr` leaves that field out of the signed bytes, as EMV cards may. Raises CounterExhausted after counter
        FFFF and ValueError for a value that does not fit its field; neither moves the counter.
        """
        if self.atc == _ATC_LIMIT:
            raise CounterExhausted(f"card {self.card_sn} has used counter FFFF")
        if unpredictable_number is None:
            unpredictable_number = rng.randbytes(4) if rng else secrets.token_bytes(4)
        if not 0 <= transaction_type <= 0xFF:
            raise ValueError("a transaction type has one byte")
        if (len(unpredictable_number), len(tvr), len(aip)) != (4, 5, 2) or len(cvr) not in (0, 4):
            raise ValueError("unpredictable number, TVR, AIP and CVR have 4, 5, 2 and 0 or 4 bytes")
        atc = self.atc + 1
        signed = b"".join(
            (
                _bcd(amount_fen, 6),
                _bcd(other_amount_fen, 6),
                _bcd(terminal_country, 2),
                tvr,
                _bcd(currency, 2),
                bytes.fromhex(transaction_date.strftime("%y%m%d")),
                transaction_type.to_bytes(1),
                unpredictable_number,
                aip,
                atc.to_bytes(2),
                cvr,
            )
        )
        self.atc = atc
        return Signature(
            pan=self.pan,
            sequence_number=self.sequence_number,
            card_sn=self.card_sn,
            scheme=self.scheme,
            key_index=self.key_index,
            atc=atc,
            amount_fen=amount_fen,
            other_amount_fen=other_amount_fen,
            terminal_country=terminal_country,
            tvr=tvr,
            currency=currency,
            transaction_date=transaction_date.isoformat(),
            transaction_type=transaction_type,
            unpredictable_number=unpredictable_number,
            aip=aip,
            cvr=cvr,
            cryptogram=self.cryptogram(atc, signed),
        )

    def cryptogram(self, atc: int, data: bytes) -> bytes:
        """Return the 8-byte application cryptogram over `data`, before padding, without touching the counter."""
        return self._rules.mac(self._session_key(atc), data)[:8]

    def check_arpc(self, signature: Signature, arc: bytes, arpc: bytes) -> bool:
        """Tell whether `arpc` (8 bytes) is the issuer's answer by method 1 with response code `arc` (2 bytes)."""
        answered = _xor(signature.cryptogram, arc.ljust(8, b"\x00"))
        return hmac.compare_digest(self._rules.answer(self._session_key(signature.atc), answered), arpc)

    def check_arpc_method_2(self, signature: Signature, csu: bytes, auth_data: bytes, arpc: bytes) -> bool:
        """Tell whether `arpc` (4 bytes) is the issuer's answer by method 2 with `csu` (4 bytes) and `auth_data`.

        Raises ValueError for the PBOC schemes, which have no method 2.
        """
        if self.scheme in (Scheme.PBOC_SM4, Scheme.PBOC_TDES):
            raise ValueError(f"{self.scheme} has no ARPC method 2")
        expected = self._rules.mac(self._session_key(signature.atc), signature.cryptogram + csu + auth_data)[:4]
        return hmac.compare_digest(expected, arpc)

    def _session_key(self, atc: int) -> bytes:
        return self._rules.session_key(self._card_key, atc.to_bytes(2))


def _card_key(scheme: Scheme, issuer_key: bytes, digits: str, derivation: Derivation) -> bytes:
    """Derive the card key from PAN and sequence number: EMV 4.4 Book 2 A1.4; JR/T 0025.17-2013 8.1.4 for SM4."""
    if scheme is Scheme.EMV_AES:
        return _aes(issuer_key, bytes.fromhex(digits.zfill(32)))
    rightmost = bytes.fromhex(digits[-16:].zfill(16))
    if scheme is Scheme.PBOC_SM4:
        return _sm4(issuer_key, rightmost + _complement(rightmost))
    # Option B is option A for a PAN of up to 16 digits, which stand here with the 2 of the sequence number.
    hashed = scheme is Scheme.EMV_CSK_TDES and derivation == "EMV_B" and len(digits) > 18
    y = _hashed_digits(digits) if hashed else rightmost
    return _odd_parity(_tdes(issuer_key, y) + _tdes(issuer_key, _complement(y)))


def _hashed_digits(digits: str) -> bytes:
    """Decimalize the hash of PAN and sequence number as option B does: digits first, then A to F as 0 to 5."""
    even = digits if len(digits) % 2 == 0 else "0" + digits
    nibbles = hashlib.sha1(bytes.fromhex(even)).hexdigest()
    decimal = [nibble for nibble in nibbles if nibble.isdecimal()]
    letters = [str(int(nibble, 16) - 10) for nibble in nibbles if not nibble.isdecimal()]
    return bytes.fromhex("".join(decimal + letters)[:16])


def _session_key_pboc_sm4(card_key: bytes, atc: bytes) -> bytes:
    return _sm4(card_key, bytes(6) + atc + bytes(6) + _complement(atc))


def _session_key_pboc_tdes(card_key: bytes, atc: bytes) -> bytes:
    left = _tdes(card_key, bytes(6) + atc)
    return _odd_parity(left + _tdes(card_key, bytes(6) + _complement(atc)))


def _session_key_emv_tdes(card_key: bytes, atc: bytes) -> bytes:
    return _tdes(card_key, atc + b"\xf0" + bytes(5)) + _tdes(card_key, atc + b"\x0f" + bytes(5))


def _session_key_emv_aes(card_key: bytes, atc: bytes) -> bytes:
    return _aes(card_key, atc + bytes(14))


def _mac_sm4(key: bytes, data: bytes) -> bytes:
    """CBC-MAC, whose last block is the last block of an encryption in CBC mode with a zero start."""
    return _cbc(SM4(key), _pad(data, 16))[-16:]


def _mac_tdes(key: bytes, data: bytes) -> bytes:
    """ISO/IEC 9797-1 algorithm 3: single DES, then the last block through the right half and the left half."""
    left, right = key[:8], key[8:]
    chained = _cbc(TripleDES(left * 3), _pad(data, 8))[-8:]
    decryptor = Cipher(TripleDES(right * 3), modes.ECB()).decryptor()
    return _ecb(TripleDES(left * 3), decryptor.update(chained))


def _mac_aes(key: bytes, data: bytes) -> bytes:
    cmac = CMAC(AES(key))
    cmac.update(data)
    return cmac.finalize()


@dataclass(frozen=True, slots=True)
class _Rules:
    """One row of the table in cards.md section 2, apart from the card key."""

    session_key: Callable[[bytes, bytes], bytes]
    mac: Callable[[bytes, bytes], bytes]
    answer: Callable[[bytes, bytes], bytes]


def _tdes(key: bytes, block: bytes) -> bytes:
    return _ecb(TripleDES(key + key[:8]), block)


def _sm4(key: bytes, block: bytes) -> bytes:
    return _ecb(SM4(key), block)


def _aes(key: bytes, block: bytes) -> bytes:
    return _ecb(AES(key), block)


def _left_half(encrypt: Callable[[bytes, bytes], bytes]) -> Callable[[bytes, bytes], bytes]:
    """Answer with the left half of a 16-byte cipher over 8 bytes and 8 zeros."""
    return lambda key, answered: encrypt(key, answered + bytes(8))[:8]


_RULES = {
    Scheme.PBOC_SM4: _Rules(_session_key_pboc_sm4, _mac_sm4, _left_half(_sm4)),
    Scheme.PBOC_TDES: _Rules(_session_key_pboc_tdes, _mac_tdes, _tdes),
    Scheme.EMV_CSK_TDES: _Rules(_session_key_emv_tdes, _mac_tdes, _tdes),
    Scheme.EMV_AES: _Rules(_session_key_emv_aes, _mac_aes, _left_half(_aes)),
}


def _ecb(algorithm: BlockCipherAlgorithm, block: bytes) -> bytes:
    return Cipher(algorithm, modes.ECB()).encryptor().update(block)


def _cbc(algorithm: BlockCipherAlgorithm, data: bytes) -> bytes:
    return Cipher(algorithm, modes.CBC(bytes(algorithm.block_size // 8))).encryptor().update(data)


def _pad(data: bytes, block_bytes: int) -> bytes:
    """Pad by method 2: always one byte 80, then zeros to a full block."""
    marked = data + b"\x80"
    return marked + bytes(-len(marked) % block_bytes)


def _odd_parity(key: bytes) -> bytes:
    return bytes(byte ^ (byte.bit_count() % 2 == 0) for byte in key)


def _complement(data: bytes) -> bytes:
    return bytes(byte ^ 0xFF for byte in data)


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _bcd(number: int, length: int) -> bytes:
    """Encode a number as binary-coded decimal of `length` bytes; raise ValueError when it does not fit."""
    if not 0 <= number < 100**length:
        raise ValueError(f"{number} does not fit into {2 * length} decimal digits")
    return bytes.fromhex(f"{number:0{2 * length}d}")
