"""`medsettle keys`: the key ring file with the issuers' master keys.

Invariant: no key and no component is ever shown, and none is taken from the command line, where others could read it.
"""

import getpass
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medsettle.cli.terminal import CommandFailed, console

if TYPE_CHECKING:
    from medsettle.keys import KeyAttributes

KEK_METAVAR = "file:PATH|env:NAME|passphrase"

app = typer.Typer(
    help="Care for a key ring: issuer master keys, wrapped under a key-encryption key; people compare check values.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

_Ring = Annotated[Path, typer.Argument(metavar="FILE", help="Key ring.", dir_okay=False)]
_Kek = Annotated[
    str | None,
    typer.Option(
        metavar=KEK_METAVAR,
        help="Key-encryption key: 64 hexadecimal digits in a file or a variable, or a passphrase, which is asked for; "
        "it is also asked for when the option is left out.",
    ),
]
_Issuer = Annotated[str, typer.Option(help="Issuer's name: letters, digits, - and _.")]
_Scheme = Annotated[str, typer.Option(help="PBOC_SM4, PBOC_TDES, EMV_CSK_TDES or EMV_AES.")]
_KeyIndex = Annotated[int, typer.Option(min=0, max=255, help="Index by which a card names the key.")]
_PanFrom = Annotated[str, typer.Option(metavar="DIGITS", help="First digits of the first PAN of the range.")]
_PanTo = Annotated[
    str | None, typer.Option(metavar="DIGITS", help="First digits of the last PAN; those of --pan-from if not given.")
]
_Derivation = Annotated[str | None, typer.Option(help="BY_PAN_LENGTH or OPTION_A; for EMV_CSK_TDES alone.")]


@app.command()
def create(ring: _Ring, kek: _Kek = None) -> None:
    """Write a key ring with nothing but a key for PINs; an existing file is never replaced."""
    from medsettle import keys

    keys.create(ring, named_kek(kek, new=True))
    print(f"{ring}: made, with a key for PINs and no issuer's")


@app.command()
def generate(
    ring: _Ring,
    issuer: _Issuer,
    scheme: _Scheme,
    key_index: _KeyIndex,
    pan_from: _PanFrom,
    pan_to: _PanTo = None,
    derivation: _Derivation = None,
    kek: _Kek = None,
) -> None:
    """Add a random key and show its check value."""
    from medsettle import keys

    attributes = _attributes(issuer, scheme, key_index, pan_from, pan_to, derivation)
    print(f"check value {keys.generate(ring, named_kek(kek), attributes)}")


@app.command("import")
def import_(
    ring: _Ring,
    issuer: _Issuer,
    scheme: _Scheme,
    key_index: _KeyIndex,
    pan_from: _PanFrom,
    pan_to: _PanTo = None,
    derivation: _Derivation = None,
    component: Annotated[
        list[Path] | None,
        typer.Option(help="File with a component in hexadecimal; once per custodian.", dir_okay=False),
    ] = None,
    custodians: Annotated[
        int, typer.Option(min=2, max=3, help="How many components to ask for when there are no files.")
    ] = 2,
    kek: _Kek = None,
) -> None:
    """Add the key that two or three custodians' components make together, and show its check value.

    Without --component each custodian is asked for theirs in turn; nothing that is typed is shown.
    """
    from medsettle import keys

    attributes = _attributes(issuer, scheme, key_index, pan_from, pan_to, derivation)
    wrapped_under = named_kek(kek)
    if component:
        components = [_hexadecimal(path.read_text(encoding="ascii"), str(path)) for path in component]
    else:
        components = [_asked_component(number, custodians) for number in range(1, custodians + 1)]
    print(f"check value {keys.import_components(ring, wrapped_under, attributes, components)}")


@app.command("token")
def token_key(
    ring: _Ring,
    name: Annotated[str, typer.Option(help="What tokens name as `kid`: letters, digits, - and _.")],
    public_key: Annotated[Path, typer.Option(metavar="PEM", help="Ed25519 public key of the issuer.", dir_okay=False)],
    kek: _Kek = None,
) -> None:
    """Add the public key with which an issuer's tokens of electronic credentials are verified."""
    from medsettle import keys

    keys.import_token_key(ring, named_kek(kek), name, _ed25519(public_key))
    print(f"{ring}: tokens of {name} are verified from the next start of a hub on")


@app.command()
def pin(ring: _Ring, kek: _Kek = None) -> None:
    """Add a random key for PINs to a ring that was made without one."""
    from medsettle import keys

    check_value = keys.generate_pin_key(ring, named_kek(kek))
    print(f"check value {check_value}; PINs can be set from the next start of a hub on")


@app.command("list")
def list_(ring: _Ring, kek: _Kek = None) -> None:
    """List the keys with what they are for and their check values."""
    from rich.table import Table

    from medsettle import keys

    table = Table("issuer", "scheme", "index", "PAN from", "PAN to", "derivation", "check value")
    wrapped_under = named_kek(kek)
    for entry in keys.entries(ring, wrapped_under):
        key = entry.attributes
        table.add_row(
            key.issuer,
            key.scheme,
            str(key.key_index),
            key.pan_from,
            key.pan_to,
            key.derivation or "default",
            entry.check_value,
        )
    console().print(table if table.row_count else f"{ring}: no issuer's keys")
    tokens = Table("token issuer's key", "public key")
    for name, public_key in keys.token_keys(ring, wrapped_under).items():
        tokens.add_row(name, public_key)
    if tokens.row_count:
        console().print(tokens)
    check_value = keys.pin_key(ring, wrapped_under)
    print(
        f"key for PINs: check value {check_value}" if check_value else "no key for PINs; `medsettle keys pin` adds one"
    )


@app.command()
def rotate(ring: _Ring, new_kek: Annotated[str, typer.Option(metavar=KEK_METAVAR)], kek: _Kek = None) -> None:
    """Wrap every key anew under another key-encryption key; the keys stay, and so do their check values."""
    from medsettle import keys

    keys.rotate(ring, named_kek(kek), named_kek(new_kek, new=True))
    print(f"{ring}: every key is wrapped under the new key-encryption key")


def named_kek(named: str | None, *, new: bool = False) -> str:
    """Name a key-encryption key as `medsettle.keys` does, asking for the passphrase; a new one is asked for twice."""
    if named is None or named == "passphrase":
        return f"passphrase:{_asked('New passphrase' if new else 'Passphrase', twice=new)}"
    if named.startswith("passphrase:"):
        raise CommandFailed("a passphrase is asked for, never given on the command line: write just passphrase")
    return named


def _attributes(
    issuer: str, scheme: str, key_index: int, pan_from: str, pan_to: str | None, derivation: str | None
) -> "KeyAttributes":
    from medsettle.keys import KeyAttributes

    return KeyAttributes(issuer, scheme, key_index, pan_from, pan_to or pan_from, derivation)


def _ed25519(pem: Path) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(pem.read_bytes())
    except ValueError as error:
        raise CommandFailed(f"{pem} is no public key in PEM: {error}") from None
    if not isinstance(key, Ed25519PublicKey):
        raise CommandFailed(f"{pem} is no Ed25519 key")
    return key.public_bytes_raw()


def _asked_component(number: int, of: int) -> bytes:
    return _hexadecimal(_asked(f"Component {number} of {of}, in hexadecimal"), f"component {number}")


def _hexadecimal(text: str, name: str) -> bytes:
    # The error of `fromhex` would repeat a digit of the component.
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise CommandFailed(f"{name} is not hexadecimal") from None


def _asked(prompt: str, *, twice: bool = False) -> str:
    if not sys.stdin.isatty():
        raise CommandFailed(f"there is no terminal to ask for: {prompt.lower()}")
    answer = getpass.getpass(f"{prompt}: ")
    if twice and getpass.getpass("Once more: ") != answer:
        raise CommandFailed("the two entries differ")
    return answer
